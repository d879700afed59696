import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import {
  hugeEncodeDevice,
  LO_FLAGS_AUTOCLEAR,
  LO_FLAGS_READ_ONLY,
  loopClear,
  loopConfigure,
  loopControlGetFree,
  loopControlRemove,
  loopGetStatus,
  loopSetStatus,
} from '../../src/kernel/loop.ts';
import { attachedTo, createScratch, sysfs } from '../expose/scratch.ts';

const scratch = createScratch();
const image = scratch.file('image.raw', 1024 * 1024);
const descriptors: number[] = [];
let control = -1;

beforeEach(() => {
  control = open('/dev/loop-control');
});
afterEach(() => {
  for (const fd of descriptors.splice(0)) fs.closeSync(fd);
  scratch.sweep();
});
afterAll(() => scratch.remove());

function open(path: string, flags: number | string = 'r+'): number {
  const fd = fs.openSync(path, flags);
  descriptors.push(fd);
  return fd;
}

/** Somebody else on this machine may take the free device first. */
function configure(flags: number, blockSize = 512): { name: string; fd: number } {
  for (;;) {
    const name = `loop${loopControlGetFree(control)}`;
    const fd = open(`/dev/${name}`);
    try {
      loopConfigure(fd, open(image), blockSize, {
        offset: 0n,
        sizeLimit: 0n,
        flags,
        fileName: Buffer.from('the-ref'),
      });
      return { name, fd };
    } catch (error) {
      if (!String(error).includes('EBUSY')) throw error;
    }
  }
}

describe('LOOP_CONFIGURE', () => {
  test('binds the file with sector size, flags and loop-ref in one go', () => {
    const { name, fd } = configure(LO_FLAGS_READ_ONLY, 4096);
    expect(sysfs(`${name}/loop/backing_file`)).toBe(image);
    expect(sysfs(`${name}/queue/logical_block_size`)).toBe('4096');
    expect(sysfs(`${name}/ro`)).toBe('1');
    expect(sysfs(`${name}/size`)).toBe('2048');
    expect(Buffer.from(loopGetStatus(fd).fileName).toString()).toBe('the-ref');
  });

  test('with AUTOCLEAR lets go of the file when the last descriptor is closed', () => {
    const { name, fd } = configure(LO_FLAGS_AUTOCLEAR);
    expect(sysfs(`${name}/loop/autoclear`)).toBe('1');
    descriptors.splice(descriptors.indexOf(fd), 1);
    fs.closeSync(fd);
    expect(attachedTo(scratch.directory)).toEqual([]);
  });

  test('tells a device that is taken by EBUSY', () => {
    const { fd } = configure(0);
    const settings = { offset: 0n, sizeLimit: 0n, flags: 0, fileName: new Uint8Array() };
    expect(() => loopConfigure(fd, open(image), 512, settings)).toThrow('ioctl(LOOP_CONFIGURE): EBUSY');
  });

  test('never passes on a loop-ref that the kernel would cut or misread', () => {
    const fd = open('/dev/null');
    for (const fileName of [Buffer.alloc(64, 'x'), Buffer.from('a\0b')]) {
      const settings = { offset: 0n, sizeLimit: 0n, flags: 0, fileName };
      expect(() => loopConfigure(fd, fd, 512, settings)).toThrow('lo_file_name');
    }
  });
});

describe('LOOP_GET_STATUS64', () => {
  test('names the device and inode of the file as stat does', () => {
    const { fd } = configure(0);
    const stat = fs.statSync(image, { bigint: true });
    const status = loopGetStatus(fd);
    expect(status.backingInode).toBe(stat.ino);
    expect(status.backingDevice).toBe(hugeEncodeDevice(stat.dev));
  });

  test('tells a free device by ENXIO', () => {
    const fd = open(`/dev/loop${loopControlGetFree(control)}`);
    expect(() => loopGetStatus(fd)).toThrow('ioctl(LOOP_GET_STATUS64): ENXIO');
  });

  test('reads a limit and an offset that losetup set', () => {
    const device = scratch
      .run('losetup', '--find', '--show', '--offset', '4096', '--sizelimit', '65536', image)
      .trim();
    const { offset, sizeLimit } = loopGetStatus(open(device, 'r'));
    expect({ offset, sizeLimit }).toEqual({ offset: 4096n, sizeLimit: 65536n });
  });
});

test('LOOP_SET_STATUS64 clears AUTOCLEAR and keeps the loop-ref', () => {
  const { name, fd } = configure(LO_FLAGS_AUTOCLEAR);
  const status = loopGetStatus(fd);
  loopSetStatus(fd, { ...status, flags: status.flags & ~LO_FLAGS_AUTOCLEAR });
  expect(sysfs(`${name}/loop/autoclear`)).toBe('0');
  expect(Buffer.from(loopGetStatus(fd).fileName).toString()).toBe('the-ref');
});

test('a bound device cannot be removed, a free one can', () => {
  const { name, fd } = configure(0);
  const number = Number(name.slice('loop'.length));
  expect(() => loopControlRemove(control, number)).toThrow('ioctl(LOOP_CTL_REMOVE): EBUSY');
  loopClear(fd);
  for (const descriptor of descriptors.splice(0)) fs.closeSync(descriptor);
  expect(attachedTo(scratch.directory)).toEqual([]);
  loopControlRemove(open('/dev/loop-control'), number);
  expect(fs.existsSync(`/sys/block/${name}`)).toBe(false);
});

test('device numbers are encoded as the kernel does, large ones too', () => {
  // What makedev(3) makes of them comes from Python, new_encode_dev() was worked out by hand.
  const cases: [major: number, minor: number, encoded: bigint][] = [
    [8, 1, 0x801n],
    [254, 0, 0xfe00n],
    [259, 0x12345, 0x12310345n],
    [0, 0xfffff, 0xfff000ffn],
  ];
  for (const [major, minor, encoded] of cases) {
    const python = spawnSync('python3', ['-c', `import os; print(os.makedev(${major}, ${minor}))`], {
      encoding: 'utf8',
    });
    expect(hugeEncodeDevice(BigInt(python.stdout.trim()))).toBe(encoded);
  }
});
