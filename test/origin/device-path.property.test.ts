import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { devicePathUri } from '../../src/origin/device-path.ts';
import { decodeEfiString } from '../../src/origin/efi-variable.ts';
import { loadOptionUri } from '../../src/origin/load-option.ts';
import { always, mutatedBytes } from '../fixtures/property.ts';
import { bytes, END, END_INSTANCE, efiString, loadOption, NETWORK, node, uri } from './efi-image.ts';

const text = fc
  .string({ unit: 'binary', maxLength: 40 })
  .filter((each) => !each.includes('\0') && each.isWellFormed());
const url = text.filter((each) => each !== '');

test('the URL of a boot entry comes back, whatever it is called and whatever else is in it', () => {
  const other = fc
    .tuple(fc.constantFrom(1, 2, 3, 4, 5), fc.constantFrom(1, 2, 11, 12), fc.uint8Array({ maxLength: 40 }))
    .map(([type, subType, data]) => node(type, subType, data));
  always(
    fc.tuple(text, fc.array(other, { maxLength: 5 }), url, fc.uint8Array()),
    ([name, nodes, asked, more]) => {
      const path = bytes(...nodes, END_INSTANCE, uri(asked), END);
      expect(devicePathUri(path)).toBe(asked);
      expect(loadOptionUri(loadOption(name, path, more))).toBe(asked);
    },
  );
});

test('any bytes are a boot entry with a URL or without one', () => {
  const samples = [
    loadOption('UEFI HTTPv4', bytes(NETWORK, uri('http://10.0.0.1/image.efi'), END)),
    loadOption('', bytes(uri(''), END_INSTANCE, uri('https://[::1]/x'), END), bytes('optional')),
    bytes(NETWORK, uri('http://10.0.0.1/image.efi'), END),
  ];
  always(mutatedBytes(samples), (entry) => {
    for (const found of [loadOptionUri(entry), devicePathUri(entry)]) {
      if (found === undefined) continue;
      expect(found).not.toBe('');
      expect(found).not.toContain('\0');
      expect(found.length).toBeLessThan(entry.length);
    }
  });
});

test('texts of EFI variables come back; of any bytes comes a text', () => {
  always(text, (each) => expect(decodeEfiString(efiString(each))).toBe(each));
  always(mutatedBytes([efiString('http://host/über/image.efi'), efiString('')]), (payload) => {
    const decoded = decodeEfiString(payload);
    expect(decoded.isWellFormed()).toBe(true);
    expect(decoded).not.toContain('\0');
  });
});
