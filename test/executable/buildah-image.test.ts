import { afterAll, beforeAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { rdpull } from '../fixtures/executable.ts';
import { ImageRegistry } from '../fixtures/image-registry.ts';
import { run } from '../fixtures/run.ts';
import { listTree, makeTreeDirectory } from '../fixtures/tar.ts';

/** Images that buildah makes in three layers, as OCI and as Docker images, and the trees that containers-storage has of them. */
let base: string;
let registry: ImageRegistry;

const MAKE_IMAGES = `
  b() { buildah --root="$PWD/storage" --runroot="$PWD/run" --storage-driver=vfs "$@"; }
  change() { container=$(b from "$1"); tree=$(b mount "$container"); }
  keep() { b umount "$container" >/dev/null; b commit --quiet "$@" >/dev/null; }

  change scratch
  mkdir -p "$tree"/usr/{bin,gone/deep,there} "$tree"/etc "$tree"/var
  head -c 300000 /dev/urandom >"$tree/usr/bin/tool"
  chmod 4755 "$tree/usr/bin/tool"; setcap cap_net_raw+ep "$tree/usr/bin/tool"
  ln "$tree/usr/bin/tool" "$tree/usr/bin/again"
  echo x >"$tree/usr/gone/deep/file"; echo x >"$tree/usr/there/old"; echo first >"$tree/etc/conf"
  truncate --size=1M "$tree/var/hole"; mkfifo "$tree/var/fifo"; mknod "$tree/var/null" c 1 3
  setfacl -m u:1234:rw "$tree/etc/conf"; chown 1000:1001 "$tree/var/hole"
  keep "$container" one

  change localhost/one
  rm -r "$tree/usr/gone" "$tree/etc/conf" "$tree/usr/there"
  mkdir "$tree/etc/conf" "$tree/usr/there"; echo new >"$tree/usr/there/new"
  touch "$tree/etc/conf/x"; ln "$tree/usr/bin/tool" "$tree/usr/third"
  keep "$container" two

  change localhost/two
  rm -r "$tree/etc/conf"; echo file >"$tree/etc/conf"; mkdir "$tree/usr/gone"; ln -s ../usr "$tree/var/usr"
  keep --format=oci "$container" in-oci
  keep --format=docker "$container" in-docker

  for format in oci docker; do
    b push --quiet --tls-verify=false --digestfile="$format.digest" "localhost/in-$format" "docker://$REGISTRY/os/$format:1"
    change "localhost/in-$format"; echo "$tree" >"$format.tree"
  done
`;

beforeAll(async () => {
  base = makeTreeDirectory();
  registry = await ImageRegistry.start(path.join(base, 'registry'));
  const env = { ...process.env, REGISTRY: `127.0.0.1:${registry.port}` };
  run(['bash', '-euo', 'pipefail', '-c', MAKE_IMAGES], { cwd: base, env });
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  fs.rmSync(base, { recursive: true, force: true });
});

/** All but the root directory, which no layer of buildah names: `src/differences.md` has what is made of it. */
function listBelow(tree: string): string {
  const [root = '', ...below] = listTree(tree).split('\n');
  expect(root).toStartWith("b'.' 40");
  return below.join('\n');
}

const written = (name: string) => fs.readFileSync(path.join(base, name), 'utf8').trim();

test.each(['oci', 'docker'])(
  'an image of buildah, in the format of %s: the tree that buildah mounts',
  async (format) => {
    const images = path.join(base, `images-${format}`);
    fs.mkdirSync(images);
    const reference = registry.reference(`os/${format}@${written(`${format}.digest`)}`);
    const { status, stderr } = await rdpull([
      'pull',
      `--image-root=${images}`,
      `oci,machine:root:${reference}`,
    ]);
    expect(stderr).toContain(' in 3 layers received, ');
    expect(status).toBe(0);
    expect(listBelow(path.join(images, 'root'))).toBe(listBelow(written(`${format}.tree`)));
  },
);
