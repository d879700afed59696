import { expect, test } from 'bun:test';
import { exportNqn, exportSerial, imageUuid } from '../../../src/serve/nvme/export-name.ts';

const MACHINE = '0123456789abcdef0123456789abcdef';
const nqn = (path: string) => exportNqn(path, MACHINE);

test('a subsystem is called by the machine and the path of the image, which ends its name', () => {
  expect(nqn('image.raw')).toBe(`nqn.2026-11.internal.rdpull:${MACHINE}.image.raw`);
  expect(nqn('rack-1/a+b_c.raw')).toBe(`nqn.2026-11.internal.rdpull:${MACHINE}.rack-1:a+b_c.raw`);
});

test.each(['a,b.raw', 'a b.raw', 'a:b.raw', 'ä.raw', 'a\nb.raw', '', '/a.raw', 'a//b.raw'])(
  'a path like %j means something else to /dev/nvme-fabrics, to configfs or to a person: there is no name for it',
  (path) => {
    expect(nqn(path)).toBeUndefined();
  },
);

test('a name has 223 bytes at most', () => {
  const room = 223 - 'nqn.2026-11.internal.rdpull:'.length - MACHINE.length - '.'.length;
  expect(nqn('x'.repeat(room))).toHaveLength(223);
  expect(nqn('x'.repeat(room + 1))).toBeUndefined();
});

test('by itself it has the digits of this machine, and never its machine ID', () => {
  const own = exportNqn('image.raw') ?? '';
  expect(own).toMatch(/^nqn\.2026-11\.internal\.rdpull:[0-9a-f]{32}\.image\.raw$/);
  expect(exportNqn('image.raw')).toBe(own);
});

test('the serial number and the UUID stay the same with the content, and change with it', () => {
  const name = nqn('image.raw') ?? '';
  expect(exportSerial(name)).toMatch(/^[0-9a-f]{20}$/);
  expect(exportSerial(name)).toBe(exportSerial(name));
  const uuid = imageUuid(name, 'one');
  expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(imageUuid(name, 'one')).toBe(uuid);
  expect(imageUuid(name, 'two')).not.toBe(uuid);
  expect(imageUuid(nqn('other.raw') ?? '', 'one')).not.toBe(uuid);
});
