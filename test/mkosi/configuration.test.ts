import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { run } from '../fixtures/run.ts';
import { inSuiteTree } from '../fixtures/suite-tree.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { generateInto } from '../generator/generator-run.ts';

// Whoever comes first waits until the tree of a suite is made.
setDefaultTimeout(600_000);

const CHECKOUT = path.resolve(import.meta.dir, '../..');

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());

let images: Record<string, unknown>[] = [];
beforeAll(() => {
  images = JSON.parse(inSuiteTree('forky', directory.path, 'cd /checkout; mkosi --json summary')).Images;
});

test('mkosi finds the initrd with rdpull, and the image', () => {
  expect(images.map((image) => image['Image'])).toEqual(['default-initrd', 'main']);
  expect(images[0]).toMatchObject({
    PostInstallationScripts: ['/checkout/mkosi/mkosi.initrd.conf/mkosi.postinst'],
    BuildSources: [{ Source: '/checkout' }],
    CompressLevel: 19,
  });
});

test('UKI, image and checksums lie beside each other, under the names that bootorigin looks for', () => {
  expect(images[1]).toMatchObject({
    Output: 'image',
    OutputDirectory: '/checkout/dist/mkosi',
    Format: 'disk',
    CompressOutput: 'xz',
    SplitArtifacts: ['uki'],
    Checksum: true,
    PostOutputScripts: ['/checkout/mkosi/mkosi.postoutput'],
  });
});

test('its script puts all that a boot needs into the initrd, and what frees the memory afterwards', () => {
  const root = directory.file('initrd');
  const network = path.join(root, 'usr/lib/systemd/network');
  fs.mkdirSync(network, { recursive: true });
  fs.writeFileSync(path.join(network, '89-ethernet.network.example'), '');
  const env = { PATH: process.env['PATH'], SRCDIR: CHECKOUT, BUILDROOT: root };
  run([path.join(CHECKOUT, 'mkosi/mkosi.initrd.conf/mkosi.postinst')], { env });
  for (const file of [
    'etc/systemd/system-generators/systemd-import-generator',
    'usr/bin/rdpull',
    'usr/lib/clock-epoch',
    'usr/lib/systemd/network/89-ethernet.network',
    'usr/lib/systemd/system/initrd.target.wants/rdpull-free-initramfs.service',
    'usr/lib/systemd/system/initrd.target.wants/rdpull-report-root.service',
    'usr/lib/udev/rules.d/60-rdpull-loop-ref.rules',
    'usr/lib/udev/rules.d/60-rdpull-nvme.rules',
  ]) {
    const found = fs.lstatSync(path.join(root, file));
    expect(found.isFile() || found.isSymbolicLink()).toBe(true);
    // Links lead to something; the generator's does so once this is the root.
    if (found.isSymbolicLink() && !file.startsWith('etc/')) fs.statSync(path.join(root, file));
  }
});

/** Which modules of the kernel of the toolbox mkosi itself takes for its patterns, as the initrd of the kernel gets them. */
const SELECT = `
import json, pathlib
from mkosi.kmod import filter_kernel_modules
patterns = json.loads(pathlib.Path("/shared/patterns").read_text())
[release] = [each.name for each in pathlib.Path("/usr/lib/modules").iterdir()]
chosen = filter_kernel_modules(pathlib.Path("/"), release, include=patterns, exclude=[])
pathlib.Path("/shared/modules").write_text(json.dumps(chosen))
`;

test('the initrd has the modules of what rdpull attaches, and of networks', () => {
  const [initrd, main] = images;
  const { KernelModules: usual } = initrd ?? {};
  const { KernelInitrdModules: patterns } = main ?? {};
  if (!Array.isArray(usual) || !Array.isArray(patterns)) throw new Error('mkosi names no kernel modules');
  const all = patterns.flatMap((each) => (each === 'default' ? usual : [each]));
  directory.write('patterns', JSON.stringify(all));
  directory.write('select.py', SELECT);
  inSuiteTree('forky', directory.path, 'python3 /shared/select.py');
  const chosen = JSON.parse(fs.readFileSync(directory.file('modules'), 'utf8'));
  expect(chosen).toEqual(expect.arrayContaining(['loop', 'overlay', 'erofs', 'nvme-tcp', 'virtio-net']));
});

test('rdpull accepts the kernel command line', () => {
  const { KernelCommandLine: words } = images[1] ?? {};
  if (!Array.isArray(words)) throw new Error('mkosi names no kernel command line');
  expect(words.join(' ')).toContain('rd.systemd.pull=');
  expect(generateInto(directory.file('units'), words.join(' '))).toEqual([]);
  const names = directory.names('units', 'normal');
  expect(names).toContain('rdpull@run-machines-bootorigin.raw.service');
});
