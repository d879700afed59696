import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { bootedMachine } from '../fixtures/booted-machine.ts';
import { type Finished, rdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { makeImage } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer, type WebServer } from '../fixtures/web-server.ts';

const served = new TemporaryDirectory();
let server: WebServer;

beforeAll(() => {
  makeImage(served);
  run(
    [
      'sh',
      '-c',
      'mkdir "To Be Filled" && cp image.raw "To Be Filled/node7.raw" && cp image.raw node7-arm.raw',
    ],
    {
      cwd: served.path,
    },
  );
  server = startWebServer(served.path, (request) => {
    // The directory is asked for decoded names.
    const file = served.file(decodeURIComponent(new URL(request.url).pathname));
    return fs.existsSync(file) ? new Response(Bun.file(file)) : undefined;
  });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  served[Symbol.dispose]();
});

/** A machine with a host name and SMBIOS fields of its own. */
const MACHINE = [
  'unshare',
  '-m',
  '-u',
  'sh',
  '-ec',
  `echo node7 >/proc/sys/kernel/hostname
mount -t tmpfs tmpfs /sys/class
mkdir -p /sys/class/dmi/id
echo "To Be Filled" >/sys/class/dmi/id/product_serial
echo 4C4C4544-0058-4B10-8044-B7C04F5A3332 >/sys/class/dmi/id/product_uuid
exec "$@"`,
  'sh',
];

function pull(target: TemporaryDirectory, wrapper: readonly string[], ...args: string[]): Promise<Finished> {
  return rdpull(['pull', '--verify=no', '--patience=0', `--image-root=${target.path}`, ...args], { wrapper });
}

describe('placeholders are replaced when the image is pulled', () => {
  test('in a URL; the local name is that of the file that was found', async () => {
    using target = new TemporaryDirectory();
    const before = server.requests.length;
    const { stdout } = await pull(target, MACHINE, `${server.url}/{serial}/{hostname}.raw`);
    expect(stdout).toBe(`${target.file('node7.raw')}\n`);
    expect(server.requests[before]).toBe('GET /To%20Be%20Filled/node7.raw');
  });

  test('in an expression, and in the name beside the boot file, but not in the boot URL', async () => {
    using target = new TemporaryDirectory();
    const expression = `raw,machine:root:${server.url}/{serial}/{hostname}.raw`;
    expect((await pull(target, MACHINE, expression)).stdout).toBe(`${target.file('root.raw')}\n`);

    const before = server.requests.length;
    const variables = {
      'StubDeviceURL-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f': `${server.url}/{serial}/uki.efi`,
    };
    const wrapper = [...MACHINE, ...bootedMachine(variables)];
    const { status } = await pull(target, wrapper, 'raw,machine,bootorigin:other:{uuid}-{hostname}.raw');
    expect(status).toBe(11);
    expect(server.requests.slice(before)).toEqual([
      'GET /%7Bserial%7D/4c4c4544-0058-4b10-8044-b7c04f5a3332-node7.raw',
    ]);
  });

  test('{mac} is that of the interface that reaches the server', async () => {
    using target = new TemporaryDirectory();
    const setup = `ip link set lo up
ip link add lan0 address 52:54:00:AB:CD:01 type veth peer name peer0
ip address add 10.0.1.7/24 dev lan0
ip link set lan0 up
ip link set peer0 up
python3 -m http.server --bind 10.0.1.7 --directory ${served.path} 8000 >/dev/null 2>&1 &
server=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
  python3 -c 'import socket; socket.create_connection(("10.0.1.7", 8000))' 2>/dev/null && break
  sleep 0.1
done
"$@"
status=$?
kill $server
exit $status`;
    fs.copyFileSync(served.file('image.raw'), served.file('52-54-00-ab-cd-01.raw'));
    const wrapper = ['unshare', '-n', 'sh', '-c', setup, 'sh'];
    const { stdout, stderr } = await pull(target, wrapper, 'http://user:secret@10.0.1.7:8000/{mac}.raw');
    expect(stderr).not.toContain('error');
    expect(stdout).toBe(`${target.file('52-54-00-ab-cd-01.raw')}\n`);
  });
});

describe('what cannot be replaced is refused before anything is asked of the server', () => {
  test.each([
    [
      'http://h/{serial}.raw',
      '{serial} in the URL stands for nothing on this machine: /sys/class/dmi/id/product_serial is empty',
      'use another placeholder, or write the name out',
      2,
    ],
    [
      'http://127.0.0.1:1/{mac}.raw',
      '{mac} in the URL stands for nothing on this machine: 127.0.0.1 is reached by lo, which has no hardware address',
      'use another placeholder, or write the name out',
      2,
    ],
    [
      'http://h/{hostnames}.raw',
      '"http://h/{hostnames}.raw" holds an unknown placeholder, {hostnames}',
      'did you mean {hostname}? (braces that mean themselves are written %7B and %7D)',
      2,
    ],
    [
      'http://no such host/{mac}.raw',
      'http://no such host/{mac}.raw is not a URL',
      'write it as http://HOST/FILE or https://HOST/FILE',
      2,
    ],
    [
      'http://[2001:db8::1]/{mac}.raw',
      'http://[2001:db8::1]/{mac}.raw: the network is unreachable',
      'check the cable, the address (ip addr) and the route (ip route), then try again',
      10,
    ],
  ])('%s', async (url, message, hint, exitStatus) => {
    using target = new TemporaryDirectory();
    const setup = `ip link set lo up; mount -t tmpfs tmpfs /sys/class; mkdir -p /sys/class/dmi/id
echo >/sys/class/dmi/id/product_serial; exec "$@"`;
    const { status, stderr } = await pull(target, ['unshare', '-m', '-n', 'sh', '-c', setup, 'sh'], url);
    expect(stderr).toBe(`rdpull: error: ${message}\nrdpull: try: ${hint}\n`);
    expect(status).toBe(exitStatus);
    expect(target.names()).toEqual([]);
  });
});
