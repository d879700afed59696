import { describe, expect, test } from 'bun:test';
import { imageUrls } from '../../src/origin/image-url.ts';
import { deriveImageName } from '../../src/request/image-name.ts';
import { parsePullExpression } from '../../src/request/pull-expression.ts';
import { resolveRequest } from '../../src/request/pull-request.ts';
import { unitNameFromPath } from '../../src/request/unit-name.ts';
import { refusal } from '../request/refusal.ts';

const UKI = 'http://192.168.100.1:8081/d/uki_1.2.efi?token=1';

describe('where the image lies', () => {
  test('beside the UKI, under the name that was given', () => {
    expect(imageUrls('image.raw', 'raw', UKI)).toEqual(['http://192.168.100.1:8081/d/image.raw']);
  });

  test("or called like the UKI, systemd's names first, and of those the smallest", () => {
    expect(imageUrls(undefined, 'raw', UKI)).toEqual([
      'http://192.168.100.1:8081/d/uki_1.2.raw.xz',
      'http://192.168.100.1:8081/d/uki_1.2.raw.zst',
      'http://192.168.100.1:8081/d/uki_1.2.raw',
      'http://192.168.100.1:8081/d/uki_1.2.raw.caibx',
      'http://192.168.100.1:8081/d/uki_1.2.caibx',
    ]);
    expect(imageUrls(undefined, 'tar', UKI)).toEqual([
      'http://192.168.100.1:8081/d/uki_1.2.tar.xz',
      'http://192.168.100.1:8081/d/uki_1.2.tar.zst',
      'http://192.168.100.1:8081/d/uki_1.2.tar',
    ]);
  });

  test.each([
    ['http://h/BOOTX64.EFI', 'http://h/BOOTX64.raw.xz'],
    ['http://h/disk.img', 'http://h/disk.img.raw.xz'],
    ['http://h/uki.unsigned.efi', 'http://h/uki.unsigned.raw.xz'],
    ['http://h/uki%20x.efi', 'http://h/uki%20x.raw.xz'],
  ])('%s has its image at %s', (bootUrl, best) => {
    expect(imageUrls(undefined, 'raw', bootUrl)[0]).toBe(best);
  });

  test('whichever exists, the local name is the same', () => {
    for (const type of ['raw', 'tar'] as const) {
      const names = imageUrls(undefined, type, UKI).map((url) => deriveImageName(url, type));
      expect(new Set(names)).toEqual(new Set(['uki_1.2']));
    }
  });

  test('in a directory, or where DHCP names the image itself', () => {
    expect(imageUrls('a.raw', 'raw', 'http://h/images/', 'directory')).toEqual(['http://h/images/a.raw']);
    expect(imageUrls('a.raw', 'raw', 'http://h/images/x.raw', 'file')).toEqual(['http://h/images/a.raw']);
    expect(imageUrls(undefined, 'raw', 'http://h/x.img.xz?y', 'file')).toEqual(['http://h/x.img.xz?y']);
    expect(imageUrls(undefined, 'tar', 'http://h/x.tar.zst', 'file')).toEqual(['http://h/x.tar.zst']);
    expect(imageUrls(undefined, 'tar', 'http://h/x.efi', 'file')[0]).toBe('http://h/x.tar.xz');
    expect(() => imageUrls(undefined, 'raw', 'http://h/images/', 'directory')).toThrow('it names no file');
  });

  test.each(['http://h', 'http://h/', 'http://h/.efi'])('%s names no image', (bootUrl) => {
    expect(refusal(() => imageUrls(undefined, 'raw', bootUrl)).toRecord()).toEqual({
      code: 'bad-url',
      message: `the image cannot be named after the boot URL "${bootUrl}": it names no file`,
      hint: "write the image's file name at the end of the pull expression, behind the second colon",
    });
  });
});

test('from the expression to the units, as systemd does it with its own example', () => {
  const request = parsePullExpression(
    'verify=no,machine,blockdev,bootorigin,raw:root:image.raw',
    (message) => {
      throw new Error(message);
    },
  );
  if (request.remote.kind !== 'bootorigin') throw new Error('bootorigin was not understood');
  const [url = ''] = imageUrls(request.remote.name, request.type, 'http://192.168.100.1:8081/uki.efi');
  const { path } = resolveRequest(request, url, true);
  expect({ url, path, blockdev: request.blockdev, verify: request.verify.kind }).toEqual({
    url: 'http://192.168.100.1:8081/image.raw',
    path: '/run/machines/root.raw',
    blockdev: true,
    verify: 'no',
  });
  expect(unitNameFromPath('systemd-import', path, '.service')).toBe(
    'systemd-import@run-machines-root.raw.service',
  );
  expect(unitNameFromPath('systemd-loop', path, '.service')).toBe(
    'systemd-loop@run-machines-root.raw.service',
  );
});
