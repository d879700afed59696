import { expect, test } from 'bun:test';
import { type ImageClass, imageDirectory, imagePath } from '../../src/request/image-class.ts';

test.each<[ImageClass, string, string]>([
  ['machine', '/run/machines', '/var/lib/machines'],
  ['portable', '/run/portables', '/var/lib/portables'],
  ['sysext', '/run/extensions', '/var/lib/extensions'],
  ['confext', '/run/confexts', '/var/lib/confexts'],
])('%s images lie in %s and %s', (imageClass, runtime, persistent) => {
  expect(imageDirectory(imageClass, true)).toBe(runtime);
  expect(imageDirectory(imageClass, false)).toBe(persistent);
});

test('a raw image is a file called .raw, a tar image a directory', () => {
  expect(imagePath('/run/machines', 'raw', 'root')).toBe('/run/machines/root.raw');
  expect(imagePath('/run/machines', 'tar', 'root')).toBe('/run/machines/root');
});
