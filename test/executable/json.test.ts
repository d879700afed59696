import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { REPORT_NUMBERS, REPORT_TEXTS } from '../../src/report/report-line.ts';
import { exportsJson } from '../../src/serve/nvme/nvme-announcement.ts';
import { bootedMachine } from '../fixtures/booted-machine.ts';
import { CachingMachine } from '../fixtures/caching-machine.ts';
import { RDPULL, type RunOptions, rdpull } from '../fixtures/executable.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { ImageRegistry } from '../fixtures/image-registry.ts';
import { StandIn } from '../fixtures/ram-disk.ts';
import { RangeServer } from '../fixtures/range-server.ts';
import { RdpullServe } from '../fixtures/rdpull-serve.ts';
import { run } from '../fixtures/run.ts';
import { makeImage, writeChecksums } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { makeUki } from '../fixtures/uki.ts';
import { startWebServer } from '../fixtures/web-server.ts';
import { bytes, END, GLOBAL, loadOption, uri } from '../origin/efi-image.ts';

const PAGE = fs.readFileSync(path.resolve(import.meta.dir, '../../src/commands/rdpull-json.7.md'), 'utf8');

/** A line such as `**error.code** (string; always)`. */
const FIELD = /^\*\*(\S+)\*\* \(([^;]+); (.+)\)$/gm;

interface Field {
  readonly name: string;
  readonly type: string;
  readonly isAlways: boolean;
}

/** The fields that a section of rdpull-json(7) lists. */
function fieldsOf(title: string): readonly Field[] {
  const section = PAGE.split(/^# /m).find((each) => each.startsWith(`${title}\n`)) ?? '';
  return [...section.matchAll(FIELD)].map(([, name = '', type = '', present = '']) => ({
    name,
    type,
    isAlways: present === 'always',
  }));
}

const named = (fields: readonly Field[], change: (name: string) => string) =>
  fields.map((field) => ({ ...field, name: change(field.name) }));

const promised = () =>
  fieldsOf('PULL: AN IMAGE WAS DOWNLOADED').filter(({ name }) => /^promised\./.test(name));
const loop = () => named(fieldsOf('ATTACH'), (name) => `loop.${name}`);

/** What each section promises, with what it takes from others. */
const KINDS = {
  FAILURE: () => fieldsOf('FAILURE'),
  'PULL: AN IMAGE WAS DOWNLOADED': () => [...fieldsOf('PULL: AN IMAGE WAS DOWNLOADED'), ...loop()],
  'PULL: AN IMAGE CAN BE READ': () => [...fieldsOf('PULL: AN IMAGE CAN BE READ'), ...loop()],
  'PULL: AN IMAGE WAS READ ON DEMAND': () => [
    ...fieldsOf('PULL: AN IMAGE WAS DOWNLOADED')
      .filter(({ name }) => name !== 'mount' && name !== 'layers' && !name.startsWith('cache'))
      .map((field) => (field.name === 'sha256' ? { ...field, isAlways: false } : field)),
    ...fieldsOf('PULL: AN IMAGE WAS READ ON DEMAND'),
    ...loop(),
  ],
  'PULL: AN IMAGE WAS KEPT': () => [...fieldsOf('PULL: AN IMAGE WAS KEPT'), ...loop()],
  'PULL: AN IMAGE WAS IN MEMORY': () => [
    ...fieldsOf('PULL: AN IMAGE WAS IN MEMORY'),
    ...promised(),
    ...loop(),
  ],
  'PULL: THERE WAS NOTHING TO PULL': () => fieldsOf('PULL: THERE WAS NOTHING TO PULL'),
  ATTACH: () => fieldsOf('ATTACH'),
  DETACH: () => fieldsOf('DETACH'),
  OVERLAY: () => fieldsOf('OVERLAY'),
  'CACHE: THE IMAGES': () => fieldsOf('CACHE: THE IMAGES'),
  'CACHE: WHAT HOLDS': () => fieldsOf('CACHE: WHAT HOLDS'),
  'CACHE: WHAT IS GONE': () => fieldsOf('CACHE: WHAT IS GONE'),
  'BOOT-ENTRY: THE MENU': () => [
    ...fieldsOf('BOOT-ENTRY: THE MENU'),
    ...named(fieldsOf('BOOT-ENTRY: ONE ENTRY'), (name) => `entries[].${name}`),
  ],
  'BOOT-ENTRY: ONE ENTRY': () => fieldsOf('BOOT-ENTRY: ONE ENTRY'),
  VERIFY: () => [...fieldsOf('VERIFY'), ...promised()],
  ORIGIN: () => fieldsOf('ORIGIN'),
  STATUS: () => fieldsOf('STATUS'),
  'FREE-INITRAMFS': () => fieldsOf('FREE-INITRAMFS'),
  'REPORT-ROOT': () => fieldsOf('REPORT-ROOT'),
  'SERVE: THE FIRST LINE': () => fieldsOf('SERVE: THE FIRST LINE'),
  'SERVE: A REQUEST': () => fieldsOf('SERVE: A REQUEST'),
  'SERVE: A REPORT': () => fieldsOf('SERVE: A REPORT'),
  'SERVE: TAKEN BACK': () => fieldsOf('SERVE: TAKEN BACK'),
  CHECK: () => [...fieldsOf('CHECK'), ...named(promised(), (name) => `pulls[].${name}`)],
} as const;
type Kind = keyof typeof KINDS;
const isKind = (name: string): name is Kind => name in KINDS;

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What the page calls the type of a value. */
function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) {
    return value.length > 0 && value.every((each) => typeof each === 'string') ? 'array of strings' : 'array';
  }
  if (typeof value === 'number' && Number.isInteger(value)) return 'integer';
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value)) return 'time';
  return typeof value;
}

/** All objects in a document with their place (`''`, `loop.`, `partitions[].`), itself among them. */
function objectsIn(
  value: unknown,
  place = '',
): readonly { readonly place: string; readonly object: Readonly<Record<string, unknown>> }[] {
  if (!isObject(value)) return [];
  const inner = Object.entries(value).flatMap(([name, each]) =>
    Array.isArray(each)
      ? each.flatMap((element) => objectsIn(element, `${place}${name}[].`))
      : objectsIn(each, `${place}${name}.`),
  );
  return [{ place, object: value }, ...inner];
}

/** The fields of each kind that have been seen. */
const seen = new Map<Kind, Set<string>>();

/** A document has all that the page promises, and nothing that it does not know. */
function expectDocumented(kind: Kind, document: unknown): void {
  const fields = KINDS[kind]();
  const names = seen.get(kind) ?? new Set();
  seen.set(kind, names);
  for (const { place, object } of objectsIn(document)) {
    const here = fields.filter(
      ({ name }) => name.startsWith(place) && /^\w+$/.test(name.slice(place.length)),
    );
    const types = here.filter(({ name, isAlways }) => isAlways || name.slice(place.length) in object);
    expect(
      Object.fromEntries(Object.entries(object).map(([name, value]) => [place + name, typeOf(value)])),
    ).toEqual(
      Object.fromEntries(
        types.map(({ name, type }) => [
          name,
          expect.stringMatching(new RegExp(`^(?:${type.replaceAll(' or ', '|')})$`)),
        ]),
      ),
    );
    for (const name of Object.keys(object)) names.add(place + name);
  }
}

/** Runs a command with --json and compares what it prints. */
async function printed(kind: Kind, args: readonly string[], options: RunOptions = {}): Promise<unknown> {
  const { stdout, status } = await rdpull([...args, '--json', '--quiet'], options);
  expect(stdout).toEndWith('}\n');
  const document: unknown = JSON.parse(stdout);
  expectDocumented(kind, document);
  if (kind === 'FAILURE') expect(document).toMatchObject({ error: { exitStatus: status } });
  else if (kind !== 'STATUS' && kind !== 'CHECK') expect(status).toBe(0);
  return document;
}

const served = new TemporaryDirectory();
const target = new TemporaryDirectory();
const gpg = new GpgHome();
let keyring: string;

beforeAll(() => {
  makeImage(served, 'bare.raw');
  const disk = served.file('disk.raw');
  run(['truncate', '-s', '24M', disk]);
  run(['sgdisk', '-n', '1:0:+2M', '-t', '1:ef00', '-A', '1:set:63', disk]);
  run(['sgdisk', '-n', '2:0:0', '-t', '2:8304', '-c', '2:root', disk]);
  fs.mkdirSync(served.file('tree/usr/lib'), { recursive: true });
  served.write('tree/usr/lib/os-release', 'ID=rdpull-test\n');
  run(['tar', '-czf', 'tree.tar.gz', '-C', 'tree', '.'], { cwd: served.path });
  run(['rm', '-r', served.file('tree')]);
  const key = gpg.generateKey('Image Builder <builder@example.com>', { expires: '1y' });
  served.write('SHA256SUMS.asc', gpg.sign(fs.readFileSync(writeChecksums(served)), { by: key }));
  keyring = target.write('keys.pgp', gpg.exportKeys([key]));
  fs.mkdirSync(target.file('mount'));
});
afterAll(() => {
  gpg[Symbol.dispose]();
  for (const each of [served, target]) each[Symbol.dispose]();
});

const pull = (name: string, ...args: string[]) => [
  'pull',
  `--image-root=${target.path}`,
  ...args,
  `file://${served.file(name)}`,
];

describe('what is printed is what rdpull-json(7) says', () => {
  const LINK = ['--blockdev', '--root-link'] as const;

  test('pull and pull --keep: a disk, verified by a signature, attached', async () => {
    const link = `${LINK[1]}=${target.file('link')}`;
    try {
      await printed('PULL: AN IMAGE WAS DOWNLOADED', pull('disk.raw', `--keyring=${keyring}`, LINK[0], link));
      await printed('PULL: AN IMAGE WAS KEPT', pull('disk.raw', '--verify=no', '--keep', LINK[0], link));
    } finally {
      await printed('DETACH', ['detach', target.file('disk.raw')]);
    }
  });

  test('pull --on-demand: two lines', async () => {
    await using server = new RangeServer(served.path);
    for (const [name, trust] of [
      ['disk.raw', '--verify=no'],
      ['disk.raw', `--keyring=${keyring}`],
      ['bare.raw', '--verify=no'],
    ] as const) {
      // Only in an initrd it is about the image that is pulled.
      const env = { SYSTEMD_PROC_CMDLINE: 'roothash=00', SYSTEMD_IN_INITRD: '1' };
      const directory = `on-demand-${name}-${trust.length}`;
      const images = `--image-root=${target.file(directory)}`;
      const link =
        trust === '--verify=no' && name === 'disk.raw' ? [`${LINK[1]}=${target.file('link')}`] : [];
      const args = [
        'pull',
        '--on-demand',
        '--json',
        '--quiet',
        images,
        trust,
        '--local=rootdisk',
        ...link,
        `${server.url}/${name}`,
      ];
      const { stdout, status } = await rdpull(args, { env });
      expect(status).toBe(0);
      const [attached = '', complete = '', rest] = stdout.split('\n');
      expectDocumented('PULL: AN IMAGE CAN BE READ', JSON.parse(attached));
      expectDocumented('PULL: AN IMAGE WAS READ ON DEMAND', JSON.parse(complete));
      expect(rest).toBe('');
      await printed('STATUS', ['status', 'rootdisk']);
      await rdpull(['detach', target.file(directory, 'rootdisk.raw')]);
    }
  });

  test('pull with a cache, its status, and the cache itself', async () => {
    using machine = new CachingMachine();
    const server = startWebServer(served.path);
    const of = async (kind: Kind, ...args: string[]) => {
      const { stdout } = await machine.rdpull(...args, '--json');
      expectDocumented(kind, JSON.parse(stdout));
    };
    const where = `--cache=${machine.cache}`;
    const pulled = async (...args: string[]) => {
      const child = machine.start('--quiet', '--verify=checksum', ...args);
      expectDocumented('PULL: AN IMAGE WAS DOWNLOADED', JSON.parse(await child.stdout.text()));
    };
    await pulled(`${server.url}/bare.raw`);
    await of('STATUS', 'status');
    await of('CACHE: THE IMAGES', 'cache', 'list', where);
    await server[Symbol.asyncDispose]();
    await pulled(`${server.url}/bare.raw`);
    await of('STATUS', 'status');
    await of('CACHE: THE IMAGES', 'cache', 'pin', 'bare', where);
    await of('CACHE: WHAT HOLDS', 'cache', 'verify', where);
    await of('CACHE: WHAT IS GONE', 'cache', 'prune', where);
  });

  test('pull and pull --keep: a bare file system, verified by nothing, attached', async () => {
    try {
      await printed('PULL: AN IMAGE WAS DOWNLOADED', pull('bare.raw', '--verify=no', LINK[0]));
      await printed('PULL: AN IMAGE WAS KEPT', pull('bare.raw', '--verify=no', '--keep', LINK[0]));
    } finally {
      await printed('DETACH', ['detach', target.file('bare.raw')]);
    }
  });

  test('pull and pull --keep: a tree, verified by its digest, mounted', async () => {
    const digest = run(['sha256sum', served.file('tree.tar.gz')])
      .toString()
      .slice(0, 64);
    const args = pull('tree.tar.gz', `--verify=sha256:${digest}`, `--bind=${target.file('mount')}`);
    try {
      await printed('PULL: AN IMAGE WAS DOWNLOADED', args);
      await printed('PULL: AN IMAGE WAS KEPT', [...args, '--keep']);
    } finally {
      run(['umount', '-R', target.file('mount')]);
    }
  });

  test.each([
    ['disk.raw', () => `--keyring=${keyring}`],
    ['bare.raw', () => '--verify=no'],
  ])('pull --ramdisk: %s in memory', async (name, trust) => {
    using memory = new StandIn(served.file(name));
    const { wrapper } = memory;
    const where = [`--image-root=${target.file('memory')}`, `${LINK[1]}=${target.file('link')}`];
    const args = ['pull', '--ramdisk', ...where, trust(), `file://${served.file(name)}`];
    const document = await printed('PULL: AN IMAGE WAS IN MEMORY', args, { wrapper });
    const device = isObject(document) && isObject(document['loop']) ? document['loop']['device'] : undefined;
    await printed('DETACH', ['detach', String(device)]);
  });

  test('pull: nothing', async () => {
    await printed('PULL: THERE WAS NOTHING TO PULL', ['pull', 'raw,machine,bootorigin::'], {
      wrapper: bootedMachine(undefined),
    });
  });

  test.each(['disk.raw', 'bare.raw'])('attach and detach: %s', async (name) => {
    await printed('ATTACH', ['attach', served.file(name)]);
    await printed('DETACH', ['detach', served.file(name)]);
  });

  test('verify', async () => {
    await printed('VERIFY', ['verify', `--keyring=${keyring}`, served.file('bare.raw')]);
    await printed('VERIFY', ['verify', '--verify=checksum', served.file('bare.raw')]);
  });

  test('free-initramfs', async () => {
    await printed('FREE-INITRAMFS', ['free-initramfs']);
  });

  test('serve --take-back, where nothing is exported', async () => {
    await printed('SERVE: TAKEN BACK', ['serve', '--take-back']);
  });

  test('overlay, and what status says of it', async () => {
    const root = target.file('sysroot');
    fs.mkdirSync(root);
    const prepared = (command: string): RunOptions => {
      const script = `mount -t tmpfs tmpfs ${root}; ${command}exec "$@"`;
      return { wrapper: ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'] };
    };
    await printed('OVERLAY', ['overlay', 'tmpfs', root], prepared(''));
    await printed('STATUS', ['status'], prepared(`${RDPULL} overlay --quiet tmpfs ${root}; `));
    const disk = target.file('data.raw');
    run(['truncate', '-s', '8M', disk]);
    run(['mkfs.ext4', '-q', disk]);
    const device = run(['losetup', '--find', '--show', disk]).toString().trim();
    try {
      await printed('OVERLAY', ['overlay', device, root], prepared(''));
    } finally {
      run(['losetup', '--detach', device]);
    }
  });

  test('report-root', async () => {
    await printed('REPORT-ROOT', ['report-root']);
  });

  test('boot-entry', async () => {
    const url = 'http://192.0.2.7/image.efi';
    const disk = Buffer.from(loadOption('disk', END)).toString('utf16le');
    const wrapper = bootedMachine({ [`Boot0000-${GLOBAL}`]: disk });
    await printed('BOOT-ENTRY: THE MENU', ['boot-entry', 'list'], { wrapper });
    await printed('BOOT-ENTRY: ONE ENTRY', ['boot-entry', 'add', '--interface=any', url], { wrapper });
    const http = Buffer.from(loadOption('http', bytes(uri(url), END))).toString('utf16le');
    const other = bootedMachine({ [`Boot0000-${GLOBAL}`]: http });
    await printed('BOOT-ENTRY: ONE ENTRY', ['boot-entry', 'remove', '0000'], { wrapper: other });
  });

  test('origin', async () => {
    await printed('ORIGIN', ['origin'], { wrapper: bootedMachine(undefined) });
    const variables = { 'StubDeviceURL-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f': 'http://192.0.2.7/image.efi' };
    await printed('ORIGIN', ['origin'], { wrapper: bootedMachine(variables) });
    const leases = [
      'mount -t tmpfs tmpfs /run',
      'echo "filename=\'http://h/image.efi\'" >/run/net-eth0.conf',
      'exec "$@"',
    ];
    const wrapper = ['unshare', '-m', 'sh', '-ec', leases.join('\n'), 'sh'];
    await printed('ORIGIN', ['origin'], { wrapper: [...wrapper, ...bootedMachine(undefined)] });
  });

  test('status: of images attached and mounted, failed, waiting, planned; of a record that is none', async () => {
    const run = (name: string) => target.file(`run/${name}`);
    fs.mkdirSync(run('systemd/generator'), { recursive: true });
    fs.mkdirSync(run('mount'));
    const inRun: RunOptions = {
      wrapper: ['unshare', '-m', 'sh', '-c', `mount --bind ${target.file('run')} /run; exec "$@"`, 'sh'],
    };
    const env = {
      SYSTEMD_PROC_CMDLINE: 'rd.systemd.pull=raw,machine::http://h/a.raw',
      SYSTEMD_IN_INITRD: '1',
    };
    await rdpull(['generate', run('systemd/generator')], { env });
    const into = (name: string, ...args: string[]) => pull(name, `--image-root=${run('images')}`, ...args);
    const link = `${LINK[1]}=${run('link')}`;
    await rdpull(into('disk.raw', `--keyring=${keyring}`, LINK[0], link), inRun);
    try {
      await rdpull(['detach', run('images/disk.raw')]);
      const { stdout } = await rdpull(into('bare.raw', '--verify=no', LINK[0]), inRun);
      const device = stdout.split('\n').find((line) => line.startsWith('/dev/')) ?? '';
      await rdpull(into('bare.raw', '--verify=no', '--local=other'), inRun);
      await rdpull(into('missing.raw', '--verify=no'), inRun);
      await rdpull(into('tree.tar.gz', '--verify=checksum', `--bind=${run('mount')}`), inRun);
      await rdpull(['pull', '--local=skipped', 'raw,machine,bootorigin::'], {
        wrapper: [...bootedMachine(undefined), ...(inRun.wrapper ?? [])],
      });
      fs.writeFileSync(run('rdpull/transfers/0.json'), 'garbage');
      await printed('STATUS', ['status'], {
        wrapper: [
          ...(inRun.wrapper?.slice(0, 4) ?? []),
          `mount --bind ${target.file('run')} /run; mount --bind /run/images/tree /run/mount; mount -o ro,noload ${device} /mnt; exec "$@"`,
          'sh',
        ],
      });
    } finally {
      for (const name of ['disk.raw', 'bare.raw']) await rdpull(['detach', run(`images/${name}`)]);
    }
  });

  test('pull: a container image', async () => {
    await using registry = await ImageRegistry.start(target.file('registry'));
    await registry.push('os/image:1', [{ kind: 'insert', from: keyring, to: '/file' }]);
    const how = ['pull', '--type=oci', '--verify=no', `--image-root=${target.path}`];
    await printed('PULL: AN IMAGE WAS DOWNLOADED', [...how, registry.reference('os/image:1')]);
  });

  test('serve: a UKI with its image, and requests that are answered in part, and not', async () => {
    const directory = target.file('serve');
    fs.mkdirSync(directory);
    makeUki(target, 'serve/image.efi', [['.cmdline', 'rd.systemd.pull=raw,machine,bootorigin::']]);
    fs.copyFileSync(served.file('bare.raw'), `${directory}/image.raw`);
    fs.symlinkSync('/etc/passwd', `${directory}/link`);
    await using server = await RdpullServe.start(directory, ['--json', '--quiet']);
    const url = server.url('image.raw');
    for (const args of [['-r', '5-9', url], ['-A', '', url], [server.url('link')]]) {
      run(['curl', '-s', '-o', '/dev/null', ...args]);
    }
    const { stdout } = await server.stop();
    const [first = '', ...requests] = stdout.trimEnd().split('\n');
    const serving = JSON.parse(first);
    expectDocumented('SERVE: THE FIRST LINE', serving);
    // The kernel of this machine may export nothing.
    const image = { path: 'image.raw', nqn: 'nqn.2026-11.internal.rdpull:0.image.raw', size: 1 };
    const left = [{ path: 'b.raw.xz', why: 'it is compressed, and b.raw is not here' }];
    const nvme = exportsJson({ mode: 'ro', exports: [image], left }, '::1');
    expectDocumented('SERVE: THE FIRST LINE', { ...serving, nvme });
    expect(requests).toHaveLength(3);
    for (const line of requests) expectDocumented('SERVE: A REQUEST', JSON.parse(line));
  });

  test('serve: what a machine reports', async () => {
    const directory = target.file('reported');
    fs.mkdirSync(directory);
    await using server = await RdpullServe.start(directory, ['--json', '--quiet']);
    const url = server.url('.rdpull/report');
    const [texts, numbers] = [
      [...REPORT_TEXTS, 'message', 'retry'],
      [...REPORT_NUMBERS, 'at', 'rate'],
    ];
    const machine = {
      ...{ boot: '7770c9c7-e564-43ea-86f8-79360c0b3466', name: 'n', serial: 's', mac: '52:54:00:12:34:56' },
      ...{ uki: 'http://h/image.efi', firmware: 2 },
    };
    const event = {
      event: 'failed',
      ...Object.fromEntries(texts.map((name) => [name, 'rdpull pull x'])),
      ...Object.fromEntries(numbers.map((name) => [name, 1.5])),
    };
    const body = [machine, event, { event: 'progress' }].map((each) => JSON.stringify(each)).join('\n');
    const headers = { 'content-type': 'application/jsonl' };
    expect((await fetch(url, { method: 'POST', body, headers })).status).toBe(204);
    const { stdout } = await server.stop();
    const reports = stdout.split('\n').filter((line) => line.includes('"report"'));
    expect(reports).toHaveLength(2);
    for (const line of reports) expectDocumented('SERVE: A REPORT', JSON.parse(line));
  });

  test('check: a signed disk, and what is not there', async () => {
    await using server = startWebServer(served.path);
    const good = `raw,machine,blockdev:root:${server.url}/disk.raw`;
    await printed('CHECK', ['check', `--keyring=${keyring}`, good]);
    await printed('CHECK', ['check', `raw,machine,verify=no::${server.url}/missing.raw`]);
  });

  test.each([
    ['pull', () => pull('missing.raw', '--verify=no')],
    ['attach', () => ['attach', served.file('missing.raw')]],
    ['detach', () => ['detach', served.file('bare.raw')]],
    ['verify', () => ['verify', '--verify=checksum', served.file('missing.raw')]],
    ['origin', () => ['origin', '{nonsense}']],
    ['no such command', () => ['pul']],
  ])('a failure: %s', async (_, args) => {
    await printed('FAILURE', args());
  });

  // The last one, because it sums up the others.
  test('no field that is promised was never printed', () => {
    for (const kind of Object.keys(KINDS).filter(isKind)) {
      const names = KINDS[kind]().map(({ name }) => name);
      expect({ kind, fields: [...(seen.get(kind) ?? [])].sort() }).toEqual({ kind, fields: names.sort() });
    }
  });
});

test('every section of the page with fields is tried here', () => {
  const sections = PAGE.split(/^# /m).filter((section) => section.search(FIELD) >= 0);
  expect(sections.map((section) => section.split('\n')[0] ?? '').sort()).toEqual(Object.keys(KINDS).sort());
});
