import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { addBlockPartition, deleteBlockPartition } from '../../src/kernel/block-partition.ts';
import { createScratch, sysfs } from '../expose/scratch.ts';

const MIB = 1024n * 1024n;
const scratch = createScratch();
const image = scratch.file('image.raw', 8 * 1024 * 1024);
let device = '';
let name = '';
let fd = -1;

beforeEach(() => {
  device = scratch.run('losetup', '--find', '--show', image).trim();
  name = device.replace('/dev/', '');
  fd = fs.openSync(device, 'r+');
});
afterEach(() => {
  for (const number of [1, 2, 255]) {
    if (fs.existsSync(`${device}p${number}`)) deleteBlockPartition(fd, number);
  }
  fs.closeSync(fd);
  scratch.sweep();
});
afterAll(() => scratch.remove());

describe('BLKPG_ADD_PARTITION', () => {
  test('makes a partition with its node, and its bytes are those of the disk', () => {
    fs.writeSync(fd, Buffer.from('here'), 0, 4, Number(MIB));
    fs.fsyncSync(fd);
    addBlockPartition(fd, 1, MIB, 2n * MIB);
    expect(sysfs(`${name}/${name}p1/start`)).toBe('2048');
    expect(sysfs(`${name}/${name}p1/size`)).toBe('4096');
    const partition = fs.openSync(`${device}p1`, 'r');
    const bytes = Buffer.alloc(4);
    fs.readSync(partition, bytes, 0, 4, 0);
    fs.closeSync(partition);
    expect(bytes.toString()).toBe('here');
  });

  test('refuses a number or an area that is taken with EBUSY', () => {
    addBlockPartition(fd, 1, MIB, MIB);
    expect(() => addBlockPartition(fd, 1, 4n * MIB, MIB)).toThrow('ioctl(BLKPG_ADD_PARTITION): EBUSY');
    expect(() => addBlockPartition(fd, 2, MIB, MIB)).toThrow('ioctl(BLKPG_ADD_PARTITION): EBUSY');
  });

  test('refuses a number that the kernel cannot count to', () => {
    addBlockPartition(fd, 255, MIB, MIB);
    expect(() => addBlockPartition(fd, 300, 4n * MIB, MIB)).toThrow('ioctl(BLKPG_ADD_PARTITION): EINVAL');
  });
});

describe('BLKPG_DEL_PARTITION', () => {
  test('takes the partition and its node away', () => {
    addBlockPartition(fd, 1, MIB, MIB);
    deleteBlockPartition(fd, 1);
    expect(fs.existsSync(`${device}p1`)).toBe(false);
  });

  test('tells a missing partition from one in use', () => {
    expect(() => deleteBlockPartition(fd, 1)).toThrow('ioctl(BLKPG_DEL_PARTITION): ENXIO');
    addBlockPartition(fd, 1, MIB, MIB);
    const user = fs.openSync(`${device}p1`, 'r');
    expect(() => deleteBlockPartition(fd, 1)).toThrow('ioctl(BLKPG_DEL_PARTITION): EBUSY');
    fs.closeSync(user);
  });
});
