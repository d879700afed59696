import { describe, expect, test } from 'bun:test';
import { devicePathUri } from '../../src/origin/device-path.ts';
import { loadOptionUri } from '../../src/origin/load-option.ts';
import { survives } from '../request/refusal.ts';
import { SeededRandom } from '../request/seeded-random.ts';
import { bytes, END, END_INSTANCE, loadOption, NETWORK, node, uri } from './efi-image.ts';

const UKI = 'http://192.168.100.1:8081/uki.efi';
const DISK = bytes(node(0x04, 0x01, new Uint8Array(38)), node(0x04, 0x04, 'x\0.\0e\0\0\0')); // HD(), File()

describe('the URI in a device path', () => {
  test.each<[string, Uint8Array, string | undefined]>([
    ['after the network nodes', bytes(NETWORK, uri(UKI), END), UKI],
    ['as the only node (short form)', bytes(uri(UKI), END), UKI],
    ['before the disk that was loaded from it', bytes(NETWORK, uri(UKI), DISK, END), UKI],
    ['with a NUL and what follows it', bytes(uri(`${UKI}\0\0junk`), END), UKI],
    ['empty, which leaves it to DHCP', bytes(NETWORK, uri(''), END), undefined],
    ['in the second instance', bytes(NETWORK, END_INSTANCE, uri(UKI), END), UKI],
    ['on a path without an end', bytes(NETWORK, uri(UKI)), UKI],
    ['behind the end', bytes(NETWORK, END, uri(UKI)), undefined],
    ['on a disk', bytes(DISK, END), undefined],
    ['in a node of another type', bytes(node(0x04, 0x18, UKI), END), undefined],
    ['in a node of another subtype', bytes(node(0x03, 0x1f, UKI), END), undefined],
    ['before junk', bytes(uri(UKI), [0xff, 0xff, 0xff, 0xff, 0x01]), UKI],
    ['nowhere', bytes(), undefined],
    ['behind a node of length 0', bytes([0x01, 0x01, 0, 0], uri(UKI), END), undefined],
    ['behind a node of length 3', bytes([0x01, 0x01, 3, 0], uri(UKI), END), undefined],
    [
      'behind a node of length 2, where misaligned reading would find it',
      bytes([1, 1, 2, 0, 6, 0, 0, 0], uri(UKI), END),
      undefined,
    ],
    ['in a node longer than the path', bytes([0x03, 0x18, 0xff, 0x00], UKI), undefined],
    ['behind half a header', bytes([0x01, 0x01]), undefined],
  ])('%s', (_, path, url) => {
    expect(devicePathUri(path)).toBe(url);
  });

  test('is not looked for outside of the path, though the buffer goes on', () => {
    const buffer = bytes(DISK, uri(UKI), END);
    expect(devicePathUri(buffer.subarray(0, DISK.length))).toBeUndefined();
    expect(devicePathUri(buffer.subarray(DISK.length))).toBe(UKI);
  });
});

describe('the URI in a boot entry', () => {
  const path = bytes(NETWORK, uri(UKI), END);

  test('stands in its device path', () => {
    expect(loadOptionUri(loadOption('UEFI HTTPv4', path))).toBe(UKI);
    expect(loadOptionUri(loadOption('', path))).toBe(UKI);
  });

  test('does not stand in its optional data', () => {
    expect(loadOptionUri(loadOption('disk', bytes(DISK, END), path))).toBeUndefined();
    expect(loadOptionUri(loadOption('UEFI HTTPv4', path, bytes('junk')))).toBe(UKI);
  });

  test('is not found in an entry that is cut off anywhere', () => {
    const entry = loadOption('UEFI HTTPv4', path);
    for (let length = 0; length < entry.length; length++) {
      expect(loadOptionUri(entry.subarray(0, length))).toBeUndefined();
    }
  });

  test('is not found where the description never ends', () => {
    expect(loadOptionUri(bytes([1, 0, 0, 0, 4, 0], 'x\0'.repeat(1000)))).toBeUndefined();
  });
});

test('survives 2000 random device paths and boot entries', () => {
  const random = new SeededRandom(8);
  for (let round = 0; round < 2000; round++) {
    const nodes = Array.from({ length: random.below(6) }, () =>
      random.pick([
        NETWORK,
        uri('http://h/x'),
        DISK,
        END_INSTANCE,
        random.bytes(12),
        bytes([3, 24, random.below(16), 0]),
      ]),
    );
    const path = bytes(...nodes);
    const entry = loadOption('x', path, random.bytes(8));
    for (let flips = random.below(4); flips > 0; flips--)
      entry[random.below(entry.length)] = random.below(256);
    survives(() => devicePathUri(path));
    survives(() => loadOptionUri(entry));
    survives(() => loadOptionUri(random.bytes(64)));
  }
});
