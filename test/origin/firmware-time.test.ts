import { afterAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import { firmwareTime } from '../../src/origin/firmware-time.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const root = new TemporaryDirectory();
afterAll(() => root[Symbol.dispose]());

const RECORDS = 'sys/firmware/acpi/fpdt/boot';
const LOADER_TIME = 'LoaderTimeExecUSec-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';

/** What this machine's firmware has written down: of ACPI, and in the variable of a boot loader. */
function machine(record: string | undefined, variable: string | undefined): number | undefined {
  fs.mkdirSync(root.file(RECORDS), { recursive: true });
  fs.rmSync(root.file(RECORDS, 'exitbootservice_end_ns'), { force: true });
  fs.rmSync(root.file(LOADER_TIME), { force: true });
  if (record !== undefined) fs.writeFileSync(root.file(RECORDS, 'exitbootservice_end_ns'), record);
  if (variable !== undefined) {
    root.write(LOADER_TIME, Buffer.concat([Buffer.alloc(4), Buffer.from(`${variable}\0`, 'utf16le')]));
  }
  return firmwareTime(`${root.path}/`, root.path);
}

test.each([
  ['5123456789\n', undefined, 5123],
  [undefined, '7654321', 7654],
  ['5123456789\n', '7654321', 5123],
  [undefined, undefined, undefined],
  ['0\n', undefined, undefined],
  ['18446744073709551615\n', undefined, undefined],
  [undefined, 'soon', undefined],
])('the record %j and the variable %j say %p ms', (record, variable, milliseconds) => {
  expect(machine(record, variable)).toBe(milliseconds);
});
