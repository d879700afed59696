import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { identify } from '../../src/origin/machine-identity.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { refusal } from '../request/refusal.ts';

const ID = '3d1219c7c4c5404aaa1f6d2a48adfda4';
const OTHER = 'ffff19c7c4c5404aaa1f6d2a48adfda4';
const SERIAL = 'sys/class/dmi/id/product_serial';
const UUID = 'sys/class/dmi/id/product_uuid';
const HINT = 'use another placeholder, or write the name out';

/** A root directory with these files in it. */
function machine(files: Record<string, string | Uint8Array>): TemporaryDirectory {
  const root = new TemporaryDirectory();
  for (const [name, content] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(root.file(name)), { recursive: true });
    root.write(name, content);
  }
  return root;
}

describe('{machine-id}', () => {
  test.each<[string, Record<string, string>]>([
    ['is in /etc', { 'etc/machine-id': `${ID}\n`, 'run/machine-id': OTHER }],
    [
      'is in /run when /etc has none yet',
      { 'etc/machine-id': 'uninitialized\n', 'run/machine-id': `${ID}\n` },
    ],
    ['is in /run when /etc is empty', { 'etc/machine-id': '', 'run/machine-id': ID }],
    [
      'is what the command line says',
      { 'etc/machine-id': OTHER, 'proc/cmdline': `a systemd.machine_id=${ID}\n` },
    ],
    [
      'is what the command line says last, also to the initrd and as a UUID',
      {
        'proc/cmdline': `systemd.machine_id=${OTHER} rd.systemd.machine-id=3D1219C7-C4C5-404A-AA1F-6D2A48ADFDA4`,
      },
    ],
    [
      'is in the file when the firmware is to say it',
      { 'etc/machine-id': ID, 'proc/cmdline': 'systemd.machine_id=firmware' },
    ],
  ])('%s', (_, files) => {
    using root = machine(files);
    expect(identify('machine-id', root.path)).toBe(ID);
  });

  test.each(['', 'uninitialized', '00000000000000000000000000000000', `${ID}${ID}`, '../etc/passwd'])(
    'is refused when no file holds one: %j',
    (content) => {
      using root = machine({ 'etc/machine-id': content });
      expect(refusal(() => identify('machine-id', root.path)).toRecord()).toEqual({
        code: 'bad-url',
        message: `{machine-id} in the URL stands for nothing on this machine: neither ${root.path}/etc/machine-id nor ${root.path}/run/machine-id holds a machine ID`,
        hint: HINT,
      });
    },
  );
});

test('{arch} and {kernel} are what systemd and uname call them', () => {
  const names: Record<string, string> = { x86_64: 'x86-64', aarch64: 'arm64' };
  expect(identify('arch')).toBe(names[run(['uname', '-m']).toString().trim()] ?? '');
  expect(identify('kernel')).toBe(run(['uname', '-r']).toString().trim());
});

describe('{serial}', () => {
  test.each([
    ['7XKD2Z3\n', '7XKD2Z3'],
    ['  To Be Filled By O.E.M. \n', 'To Be Filled By O.E.M.'],
  ])('is the product serial without the space around it: %j', (content, serial) => {
    using root = machine({ [SERIAL]: content });
    expect(identify('serial', root.path)).toBe(serial);
  });

  test('is refused when it is empty, and the file named', () => {
    using root = machine({ [SERIAL]: ' \n' });
    expect(refusal(() => identify('serial', root.path)).message).toBe(
      `{serial} in the URL stands for nothing on this machine: ${root.file(SERIAL)} is empty`,
    );
  });

  test('is refused on a machine without SMBIOS', () => {
    using root = machine({});
    expect(refusal(() => identify('serial', root.path)).message).toBe(
      `{serial} in the URL stands for nothing on this machine: ${root.file(SERIAL)} cannot be read (ENOENT: no such file or directory, open '${root.file(SERIAL)}')`,
    );
  });
});

describe('{uuid}', () => {
  test('is in lower case', () => {
    using root = machine({ [UUID]: '4C4C4544-0058-4B10-8044-B7C04F5A3332\n' });
    expect(identify('uuid', root.path)).toBe('4c4c4544-0058-4b10-8044-b7c04f5a3332');
  });

  test.each(['00000000-0000-0000-0000-000000000000', 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF'])(
    'is refused when the firmware has not set it: %s',
    (uuid) => {
      using root = machine({ [UUID]: `${uuid}\n` });
      expect(refusal(() => identify('uuid', root.path)).message).toBe(
        `{uuid} in the URL stands for nothing on this machine: ${root.file(UUID)} says ${uuid.toLowerCase()}, which means none`,
      );
    },
  );
});
