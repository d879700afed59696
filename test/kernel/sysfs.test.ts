import { describe, expect, test } from 'bun:test';
import { sysfsEntries } from '../../src/kernel/sysfs.ts';

describe('the names in a directory of sysfs', () => {
  test('are those that the kernel has there', () => {
    expect(sysfsEntries('/sys')).toContain('block');
  });

  test('of a device that is not there are none', () => {
    expect(sysfsEntries('/sys/block/no-such-device')).toEqual([]);
  });

  test('cannot be had of what is no directory, which is an error', () => {
    expect(() => sysfsEntries('/sys/kernel/uevent_seqnum')).toThrow('ENOTDIR');
  });
});
