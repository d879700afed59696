import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { inSuiteTree } from '../fixtures/suite-tree.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { generateInto } from '../generator/generator-run.ts';

// Whoever comes first waits until the tree of a suite is made.
setDefaultTimeout(600_000);

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

test('rdpull accepts the kernel command line', () => {
  const { KernelCommandLine: words } = images[1] ?? {};
  if (!Array.isArray(words)) throw new Error('mkosi names no kernel command line');
  expect(words.join(' ')).toContain('rd.systemd.pull=');
  expect(generateInto(directory.file('units'), words.join(' '))).toEqual([]);
  const names = directory.names('units', 'normal');
  expect(names).toContain('rdpull@run-machines-bootorigin.raw.service');
});
