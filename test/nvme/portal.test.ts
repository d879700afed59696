import { describe, expect, test } from 'bun:test';
import { canonicalAddress, portalOf } from '../../src/nvme/portal.ts';

test.each([
  ['10.0.0.1', '10.0.0.1'],
  ['FD00:0:0::0001', 'fd00::1'],
  ['fe80::0:1%eth0', 'fe80::1%eth0'],
  ['::ffff:10.0.0.1', '::ffff:a00:1'],
])('%s is the same address as %s', (written, canonical) => {
  expect(canonicalAddress(written)).toBe(canonical);
});

describe('where a server says that another one is', () => {
  const asked = { address: 'fe80::2%eth0', port: 8009 };
  test.each([
    ['10.0.0.9', '10.0.0.9'],
    ['FD00::0:9', 'fd00::9'],
    ['fe80::9', 'fe80::9%eth0'],
  ])('%s', (address, expected) => {
    expect(portalOf(asked, { address, port: 4420 })).toEqual({ address: expected, port: 4420 });
  });

  test('on the same link only where that is known', () => {
    expect(portalOf({ address: '10.0.0.1', port: 4420 }, { address: 'fe80::9', port: 1 })?.address).toBe(
      'fe80::9',
    );
  });

  test.each([
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '0:0::1',
    'ff02::1',
    '::ffff:127.0.0.1',
    '999.0.0.1',
    '10.0.0',
    ':::',
  ])('%s leads to nobody else', (address) => {
    expect(portalOf(asked, { address, port: 4420 })).toBeUndefined();
  });
});
