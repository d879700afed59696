import { describe, expect, test } from 'bun:test';
import { formatRootOverlay, parseRootOverlay } from '../../src/request/root-overlay.ts';

test('tmpfs is the memory', () => {
  expect(parseRootOverlay('tmpfs')).toEqual({ kind: 'memory' });
});

test.each([
  ['LABEL=data', '/dev/disk/by-label/data'],
  ['LABEL=my data', '/dev/disk/by-label/my\\x20data'],
  ['UUID=ab-cd', '/dev/disk/by-uuid/ab-cd'],
  ['PARTLABEL=/x', '/dev/disk/by-partlabel/\\x2fx'],
  ['PARTUUID=1', '/dev/disk/by-partuuid/1'],
  ['/dev/disk/by-path/pci-0:1', '/dev/disk/by-path/pci-0:1'],
])('%s is the device %s, with ? if it must not be there', (name, path) => {
  const device = { kind: 'device', name, path, isOptional: false } as const;
  expect(parseRootOverlay(name)).toEqual(device);
  expect(parseRootOverlay(`${name}?`)).toEqual({ ...device, isOptional: true });
  expect(formatRootOverlay(device)).toBe(name);
  expect(formatRootOverlay({ ...device, isOptional: true })).toBe(`${name}?`);
});

describe('no place to write to is', () => {
  test.each([
    '',
    '?',
    'ram',
    'tmpfs?',
    'LABEL=',
    'label=data',
    'sda1',
    '/srv',
    'TAG=x',
    '/dev/a/../../etc',
    'LABEL=a\nb',
  ])('%j', (text) => {
    expect(parseRootOverlay(text)).toBeUndefined();
  });

  test('what is too long for the name of a unit', () => {
    expect(parseRootOverlay(`/dev/${'a'.repeat(200)}`)).toMatchObject({ kind: 'device' });
    expect(parseRootOverlay(`/dev/${'-'.repeat(200)}`)).toBeUndefined();
  });
});
