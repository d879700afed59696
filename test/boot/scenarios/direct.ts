import type { Suite } from '../../fixtures/suite-tree.ts';
import { directBoot } from '../direct-boot.ts';
import {
  type FileSystem,
  LABEL,
  makeDisk,
  makeFileSystem,
  makeTarball,
  type Packing,
  pack,
} from '../image.ts';
import { expectBooted } from '../lab.ts';
import { makeRootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';

/** One image with an explicit URL. */
interface Variant {
  readonly name: string;
  readonly core?: true;
  readonly suite?: Suite;
  readonly image: { readonly in: 'disk' | 'bare'; readonly fileSystem: FileSystem } | 'tarball';
  readonly packing: Packing;
  /** What is on the command line besides the expression; nothing by default. */
  readonly root?: string;
}

const BY_LOOP_REF = 'root=/dev/disk/by-loop-ref/root.raw-part1';

/**
 * Each file system in a partition and alone, each packing, and each way to name the root, if not each with each: all of
 * that would be 72 boots.
 */
const VARIANTS: readonly Variant[] = [
  { name: 'ext4-disk-xz', image: { in: 'disk', fileSystem: 'ext4' }, packing: 'xz', root: BY_LOOP_REF },
  {
    name: 'ext4-bare-zstd',
    image: { in: 'bare', fileSystem: 'ext4' },
    packing: 'zst',
    root: `root=LABEL=${LABEL}`,
  },
  {
    name: 'erofs-disk-gzip',
    image: { in: 'disk', fileSystem: 'erofs' },
    packing: 'gz',
    root: `root=PARTLABEL=${LABEL}`,
  },
  { name: 'erofs-bare', image: { in: 'bare', fileSystem: 'erofs' }, packing: 'none' },
  { name: 'squashfs-disk-zstd', image: { in: 'disk', fileSystem: 'squashfs' }, packing: 'zst' },
  {
    name: 'squashfs-bare-xz',
    image: { in: 'bare', fileSystem: 'squashfs' },
    packing: 'xz',
    root: 'root=/dev/disk/by-loop-ref/root.raw',
  },
  {
    name: 'systemd-252',
    core: true,
    suite: 'bookworm',
    image: { in: 'disk', fileSystem: 'ext4' },
    packing: 'xz',
  },
  {
    name: 'systemd-252-loop-ref',
    suite: 'bookworm',
    image: { in: 'disk', fileSystem: 'ext4' },
    packing: 'zst',
    root: BY_LOOP_REF,
  },
  {
    name: 'systemd-252-tar',
    suite: 'bookworm',
    image: 'tarball',
    packing: 'xz',
    root: 'root=bind:/run/machines/root',
  },
  { name: 'systemd-257', suite: 'trixie', image: { in: 'disk', fileSystem: 'ext4' }, packing: 'xz' },
  { name: 'systemd-257-tar', suite: 'trixie', image: 'tarball', packing: 'gz' },
  { name: 'tar-bind', core: true, image: 'tarball', packing: 'zst', root: 'root=bind:/run/machines/root' },
];

/** A kernel, an initrd, and a URL on the command line. */
export const scenarios: readonly Scenario[] = VARIANTS.map((variant): Scenario => {
  const { name, core, suite = 'forky', image, packing, root = '' } = variant;
  const kind =
    image === 'tarball' ? image : `${image.fileSystem}, ${image.in === 'disk' ? 'in a partition' : 'bare'}`;
  return {
    name,
    title: `explicit URL, ${suite}: ${kind}, packed with ${packing}, ${root === '' ? 'no root=' : root}`,
    ...(core && { core }),
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      const file = `${lab.served}/root.${image === 'tarball' ? 'tar' : 'raw'}`;
      if (image === 'tarball') await makeTarball(tree, file);
      else if (image.in === 'disk') await makeDisk(tree, image.fileSystem, file);
      else await makeFileSystem(tree, image.fileSystem, file);
      const packed = await pack(file, packing);
      const server = await lab.serve();
      const options = image === 'tarball' ? 'tar,machine' : 'raw,machine,blockdev';
      const url = server.url(packed.slice(lab.served.length + 1));
      const expression = `rd.systemd.pull=${options},verify=no:root:${url}`;
      const guest = await directBoot(lab, { suite, commandLine: `${expression} ${root}` });
      await expectBooted(lab, guest, tree);
    },
  };
});
