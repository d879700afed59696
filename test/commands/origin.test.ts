import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { bootedMachine } from '../fixtures/booted-machine.ts';
import { rdpull } from '../fixtures/executable.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const STUB = 'StubDeviceURL-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';
const LOADER = 'LoaderDeviceURL-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';
const UKI = 'http://user:secret@192.0.2.7:8081/d/myimage.efi';
const SHOWN = 'http://192.0.2.7:8081/d/myimage.efi';

describe('a machine that was booted over HTTP', () => {
  const wrapper = bootedMachine({ [STUB]: UKI, [LOADER]: 'http://192.0.2.7/loader.efi' });

  test('says from where, who says so, and where its images may lie; nobody sees the login', async () => {
    const { status, stdout, stderr } = await rdpull(['origin'], { wrapper });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toBe(`booted from  ${SHOWN}
says         StubDeviceURL
image        http://192.0.2.7:8081/d/myimage.raw.xz
image        http://192.0.2.7:8081/d/myimage.raw.zst
image        http://192.0.2.7:8081/d/myimage.raw
image        http://192.0.2.7:8081/d/myimage.raw.caibx
image        http://192.0.2.7:8081/d/myimage.caibx
image        http://192.0.2.7:8081/d/myimage.tar.xz
image        http://192.0.2.7:8081/d/myimage.tar.zst
image        http://192.0.2.7:8081/d/myimage.tar
nvme         nvme+tcp://192.0.2.7:4420
nvme         nvme+tcp://192.0.2.7:8009
`);
  });

  test('derives the URL of a file, with placeholders', async () => {
    const { stdout } = await rdpull(['origin', 'images/{hostname}.raw'], {
      wrapper: [
        'unshare',
        '-u',
        'sh',
        '-c',
        'echo node7 >/proc/sys/kernel/hostname; exec "$@"',
        'sh',
        ...wrapper,
      ],
    });
    expect(stdout).toBe(
      `booted from  ${SHOWN}\nsays         StubDeviceURL\nimage        http://192.0.2.7:8081/d/images/node7.raw\n`,
    );
  });

  test('says it as JSON', async () => {
    const { stdout } = await rdpull(['origin', '--json', 'x.raw'], { wrapper });
    expect(JSON.parse(stdout)).toEqual({
      url: SHOWN,
      source: 'StubDeviceURL',
      images: ['http://192.0.2.7:8081/d/x.raw'],
    });
  });

  test.each([
    ['ä.raw', '"ä.raw" holds characters that a URL cannot', 'percent-encode the file name'],
    [
      '{seriel}.raw',
      '"{seriel}.raw" holds an unknown placeholder, {seriel}',
      'did you mean {serial}? (braces that mean themselves are written %7B and %7D)',
    ],
  ])('refuses the name %s', async (name, message, hint) => {
    const { status, stdout, stderr } = await rdpull(['origin', name], { wrapper });
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toBe(`rdpull: error: ${message}\nrdpull: try: ${hint}\n`);
  });
});

test('a boot URL that names no file is printed all the same', async () => {
  const { status, stdout, stderr } = await rdpull(['origin'], {
    wrapper: bootedMachine({ [LOADER]: 'http://192.0.2.7/' }),
  });
  expect(status).toBe(0);
  expect(stdout).toBe(
    'booted from  http://192.0.2.7/\nsays         LoaderDeviceURL\nnvme         nvme+tcp://192.0.2.7:4420\nnvme         nvme+tcp://192.0.2.7:8009\n',
  );
  expect(stderr).toBe(
    'rdpull: the image cannot be named after the boot URL "http://192.0.2.7/": it names no file\n',
  );
});

describe('a machine that was not', () => {
  test.each([
    ['without EFI', undefined],
    ['with EFI', { 'Lang-8be4df61-93ca-11d2-aa0d-00e098032b8c': 'en' }],
  ])('%s: prints nothing, says so, and succeeds', async (_, variables) => {
    const { status, stdout, stderr } = await rdpull(['origin', 'x.raw'], {
      wrapper: bootedMachine(variables),
    });
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: '',
      stderr: 'rdpull: this machine was not booted over HTTP: no EFI variable holds a boot URL\n',
    });
  });

  test('says null as JSON', async () => {
    const { stdout } = await rdpull(['origin', '--json'], { wrapper: bootedMachine(undefined) });
    expect(JSON.parse(stdout)).toEqual({ url: null });
  });
});

describe('efivarfs', () => {
  /** The calls of mount(2), seen from outside. */
  async function mounts(variables: Record<string, string> | undefined) {
    using directory = new TemporaryDirectory();
    const trace = [
      'strace',
      '-f',
      '-qq',
      '-e',
      'trace=mount',
      '-e',
      'signal=none',
      '-o',
      directory.file('trace'),
    ];
    const wrapper = [...bootedMachine(variables), ...trace];
    const { status, stderr } = await rdpull(['origin', '--verbose'], { wrapper });
    expect(status).toBe(0);
    const mounted = fs.readFileSync(directory.file('trace'), 'utf8').match(/mount\(.*\)(?= +=)/g) ?? [];
    return { mounted, stderr };
  }

  test('is mounted when its directory is empty; a kernel that has none is no failure', async () => {
    const { mounted, stderr } = await mounts({});
    expect(mounted).toEqual([
      'mount("efivarfs", "/sys/firmware/efi/efivars", "efivarfs", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)',
    ]);
    // Where the tests run there is no EFI.
    expect(stderr).toContain('efivarfs cannot be mounted on /sys/firmware/efi/efivars: mount: ');
    expect(stderr).toContain('this machine was not booted over HTTP');
  });

  test.each([
    ['it is mounted already', { [STUB]: UKI }],
    ['the machine has no EFI', undefined],
  ])('is not mounted when %s', async (_, variables) => {
    expect((await mounts(variables)).mounted).toEqual([]);
  });
});
