import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { bootedMachine } from '../fixtures/booted-machine.ts';
import { rdpull } from '../fixtures/executable.ts';
import { makeImage } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer, type WebServer } from '../fixtures/web-server.ts';

const served = new TemporaryDirectory();
let server: WebServer;

beforeAll(() => {
  makeImage(served);
  fs.mkdirSync(served.file('images'));
  fs.copyFileSync(served.file('image.raw'), served.file('images/10.9.0.1.raw'));
  server = startWebServer(served.path, (request) => {
    const file = served.file(decodeURIComponent(new URL(request.url).pathname));
    return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ? new Response(Bun.file(file)) : undefined;
  });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  served[Symbol.dispose]();
});

/** A machine to which the kernel's and other clients have left these files below /run. */
function leased(files: Readonly<Record<string, string>>): readonly string[] {
  const commands = Object.entries(files).map(
    ([name, text]) =>
      `mkdir -p /run/${path.dirname(name)}; echo ${Buffer.from(text).toString('base64')} | base64 -d >/run/${name}`,
  );
  return [
    'unshare',
    '-m',
    'sh',
    '-ec',
    ['mount -t tmpfs tmpfs /run', ...commands, 'exec "$@"'].join('\n'),
    'sh',
  ];
}

async function pull(wrapper: readonly string[], expression: string, ...more: readonly string[]) {
  using target = new TemporaryDirectory();
  const args = ['pull', '--verify=no', '--patience=0', `--image-root=${target.path}`, ...more, expression];
  const before = server.requests.length;
  const { status, stdout, stderr } = await rdpull(args, { wrapper });
  return {
    status,
    stdout: stdout.replaceAll(target.path, ''),
    stderr,
    requests: server.requests.slice(before),
  };
}

describe('dhcporigin', () => {
  test('takes the image that is called like the boot file', async () => {
    const wrapper = leased({ 'net-eth0.conf': `filename='${server.url}/image.efi'\n` });
    const { stdout, requests } = await pull(wrapper, 'raw,machine,dhcporigin::');
    expect(stdout).toBe('/image.raw\n');
    expect(requests).toContain('GET /image.raw');
  });

  test('takes a file in the directory that the root path names', async () => {
    const wrapper = leased({
      'systemd/netif/leases/1': `ROOT_PATH=${server.url}/images/\nSERVER_ADDRESS=10.9.0.1\n`,
    });
    const { stdout, requests } = await pull(wrapper, 'raw,machine,dhcporigin:root:{dhcp-server}.raw');
    expect(stdout).toBe('/root.raw\n');
    expect(requests[0]).toBe('GET /images/10.9.0.1.raw');
  });

  test('takes the image itself, where the root path names one', async () => {
    const wrapper = leased({ 'systemd/netif/leases/1': `ROOT_PATH=${server.url}/image.raw\n` });
    expect((await pull(wrapper, 'raw,machine,dhcporigin::')).stdout).toBe('/image.raw\n');
  });

  test('beside bootorigin counts where no EFI variable says a URL', async () => {
    const files = { 'net-eth0.conf': `filename='${server.url}/other/x.efi'\n` };
    const STUB = 'StubDeviceURL-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';
    const expression = 'raw,machine,bootorigin,dhcporigin:root:image.raw';
    const booted = [...leased(files), ...bootedMachine({ [STUB]: `${server.url}/image.efi` })];
    expect((await pull(booted, expression)).requests[0]).toBe('GET /image.raw');
    const other = [...leased(files), ...bootedMachine(undefined)];
    expect((await pull(other, expression)).requests[0]).toBe('GET /other/image.raw');
  });

  test.each([
    [
      'no lease',
      {},
      'dhcporigin: no DHCP client of this machine (systemd-networkd, NetworkManager, dracut, the kernel) has left a lease',
      'bring the network up by DHCP (ip=dhcp), or write the whole URL',
      10,
    ],
    [
      'a server without a file',
      { 'net-eth0.conf': "ROOTSERVER='192.0.2.1'\n" },
      'the image cannot be named after the boot URL "http://192.0.2.1/": it names no file',
      "write the image's file name at the end of the pull expression, behind the second colon",
      2,
    ],
  ])('fails with %s', async (_, files, message, hint, exitStatus) => {
    const { status, stderr, requests } = await pull(leased(files), 'raw,machine,dhcporigin::');
    expect(stderr).toBe(`rdpull: error: ${message}\nrdpull: try: ${hint}\n`);
    expect({ status, requests }).toEqual({ status: exitStatus, requests: [] });
  });

  test('a token that names no server is not for one that DHCP names', async () => {
    using credentials = new TemporaryDirectory();
    fs.writeFileSync(credentials.file('rdpull.bearer'), 'token');
    const wrapper = [
      ...leased({ 'net-eth0.conf': `filename='${server.url}/image.efi'\n` }),
      'env',
      `CREDENTIALS_DIRECTORY=${credentials.path}`,
    ];
    // Without the rule, the warning says that it is not sent over plain http.
    const { status, stderr } = await pull(wrapper, 'raw,machine,dhcporigin::image.raw');
    expect(status).toBe(0);
    expect(stderr).not.toContain('rdpull.bearer');
  });

  test('--boot-url= of check says what DHCP will say; without it, that is not known', async () => {
    const check = (...args: readonly string[]) =>
      rdpull(['check', ...args, 'raw,machine,verify=no,dhcporigin::']);
    const known = await check(`--boot-url=${server.url}/image.efi`);
    expect(known.stdout).toContain(`dhcporigin: booted from ${server.url}/image.efi`);
    expect(known.stdout).toContain(`${server.url}/image.raw`);
    const unknown = await check();
    expect(unknown.stdout).toContain(
      'dhcporigin: what DHCP will say to the machine that boots is not known here',
    );
    expect(unknown.status).toBe(0);
  });
});

test('origin names each lease, what it says, and what dhcporigin takes of it', async () => {
  const wrapper = [
    ...leased({
      'net-lan7.conf': "ROOTSERVER='192.0.2.1'\nIPV4GATEWAY='192.0.2.254'\n",
      'NetworkManager/devices/99': '[device]\ndhcp-bootfile=http://me:secret@192.0.2.7/d/image.efi\n',
    }),
    ...bootedMachine(undefined),
  ];
  const { status, stdout, stderr } = await rdpull(['origin', 'x.raw'], { wrapper });
  expect({ status, stdout, stderr }).toEqual({
    status: 0,
    stdout: `lease        /run/NetworkManager/devices/99 has the boot file name "http://192.0.2.7/d/image.efi"
lease        /run/net-lan7.conf (lan7) has the next server 192.0.2.1, the gateway 192.0.2.254
dhcporigin   http://192.0.2.7/d/image.efi (boot file name)
image        http://192.0.2.7/d/x.raw
`,
    stderr: 'rdpull: this machine was not booted over HTTP: no EFI variable holds a boot URL\n',
  });
  const json = JSON.parse((await rdpull(['origin', '--json', 'x.raw'], { wrapper })).stdout);
  expect(json).toEqual({
    url: null,
    leases: [
      {
        source: '/run/NetworkManager/devices/99',
        interface: null,
        bootFile: 'http://192.0.2.7/d/image.efi',
        rootPath: null,
        tftpServer: null,
        nextServer: null,
        gateway: null,
        dhcpServer: null,
      },
      {
        source: '/run/net-lan7.conf',
        interface: 'lan7',
        bootFile: null,
        rootPath: null,
        tftpServer: null,
        nextServer: '192.0.2.1',
        gateway: '192.0.2.254',
        dhcpServer: null,
      },
    ],
    dhcp: {
      url: 'http://192.0.2.7/d/image.efi',
      source: '/run/NetworkManager/devices/99',
      field: 'boot file name',
    },
    images: ['http://192.0.2.7/d/x.raw'],
  });
});

describe('with dnsmasq and systemd-networkd', () => {
  const network = (...options: readonly string[]) => [
    ...['timeout', '--kill-after=1', '30', 'unshare', '-mnpf', '--kill-child'],
    ...[path.resolve(import.meta.dir, '../fixtures/dhcp-network.sh'), served.path, ...options, '--'],
  ];

  test('the next server is the one who has given the lease, and the gateway is known', async () => {
    const { stdout, stderr } = await pull(network(), 'raw,machine,dhcporigin:root:image.raw');
    expect(stderr).toContain('rdpull: /');
    expect(stdout).toBe('/root.raw\n');
    expect((await pull(network(), 'http://{gateway}/images/{dhcp-server}.raw', '--local=x')).stdout).toBe(
      '/x.raw\n',
    );
  });

  test('the root path is in the lease', async () => {
    const option = '--dhcp-option=option:root-path,http://10.9.0.1/images/';
    const { stdout } = await pull(network(option), 'raw,machine,dhcporigin:root:10.9.0.1.raw');
    expect(stdout).toBe('/root.raw\n');
  });
});
