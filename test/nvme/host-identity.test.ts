import { afterEach, beforeEach, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { hostIdentity } from '../../src/nvme/host-identity.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const SMBIOS = '4c4c4544-0042-3510-8051-b7c04f4e4a32';
const OTHER = '11111111-2222-3333-4444-555555555555';

let directory: TemporaryDirectory;
beforeEach(() => {
  directory = new TemporaryDirectory();
});
afterEach(() => directory[Symbol.dispose]());

function write(name: string, text: string): void {
  const file = path.join(directory.path, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
}

test('is that of the firmware: the same at every boot, another on every machine', () => {
  write('sys/class/dmi/id/product_uuid', `${SMBIOS.toUpperCase()}\n`);
  expect(hostIdentity(directory.path)).toEqual({
    nqn: `nqn.2014-08.org.nvmexpress:uuid:${SMBIOS}`,
    id: SMBIOS,
  });
});

test('is what the files of nvme-cli say, where there are any', () => {
  write('sys/class/dmi/id/product_uuid', SMBIOS);
  write('etc/nvme/hostnqn', 'nqn.2020-01.com.example:host7\n');
  expect(hostIdentity(directory.path)).toEqual({ nqn: 'nqn.2020-01.com.example:host7', id: SMBIOS });
  write('etc/nvme/hostid', `${OTHER}\n`);
  expect(hostIdentity(directory.path)).toEqual({ nqn: 'nqn.2020-01.com.example:host7', id: OTHER });
});

test('of the two files, one with a UUID says both', () => {
  write('etc/nvme/hostnqn', `nqn.2014-08.org.nvmexpress:uuid:${OTHER}\n`);
  expect(hostIdentity(directory.path)).toEqual({
    nqn: `nqn.2014-08.org.nvmexpress:uuid:${OTHER}`,
    id: OTHER,
  });
});

test('is the machine ID without SMBIOS, and without all of these the kernel makes one up', () => {
  expect(hostIdentity(directory.path)).toBeUndefined();
  write('sys/class/dmi/id/product_uuid', '00000000-0000-0000-0000-000000000000');
  write('etc/machine-id', '0123456789abcdef0123456789abcdef\n');
  expect(hostIdentity(directory.path)?.id).toBe('01234567-89ab-cdef-0123-456789abcdef');
});

test.each([
  [
    'hostnqn',
    'nqn.a,hostid=x',
    'etc/nvme/hostnqn does not say who this machine is: its line holds a character',
  ],
  ['hostid', 'seven', 'etc/nvme/hostid does not say who this machine is: its line is no UUID'],
])('a file %s with something else is refused', (name, text, message) => {
  write(`etc/nvme/${name}`, text);
  expect(() => hostIdentity(directory.path)).toThrow(message);
});
