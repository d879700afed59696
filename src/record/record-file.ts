import fs from 'node:fs';
import { discreetValue } from '../console/shown-url.ts';
import { parseRecord } from './parse-record.ts';
import type { TransferRecord } from './transfer-record.ts';

/** In /run, so that no record outlives the boot, and that the records of the initrd are there after switch-root. */
export const RECORDS = '/run/rdpull/transfers';

/** Nothing that is larger is read, or written. Bytes. */
const RECORD_MAX = 64 * 1024;

/** More records than this are not kept: on a build machine, pulls may go on for years without a boot. */
const RECORDS_MAX = 200;

const SUFFIX = '.json';

/** What was found at the place of a record. */
export type ReadRecord =
  | { readonly file: string; readonly record: TransferRecord }
  | { readonly file: string; readonly defect: string };

/**
 * Puts a record in the place of the one before it, in one step: whoever reads it has the old one or the new one.
 *
 * @throws Error of node:fs
 */
export function writeRecord(record: TransferRecord): void {
  const text = `${JSON.stringify(record, discreetValue)}\n`;
  const size = Buffer.byteLength(text);
  if (size > RECORD_MAX) throw new Error(`a record of ${size} bytes is too long`);
  const file = recordFile(record.target);
  const temporary = `${RECORDS}/.${record.process.pid}`;
  fs.mkdirSync(RECORDS, { recursive: true, mode: 0o755 });
  try {
    fs.writeFileSync(temporary, text, { mode: 0o644 });
    fs.renameSync(temporary, file);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
}

/** The record of a target; undefined when there is none, or none that can be read. */
export function readRecordOf(target: string): TransferRecord | undefined {
  const file = recordFile(target);
  if (!fs.existsSync(file)) return undefined;
  const read = readRecord(file);
  return 'record' in read && read.record.target === target ? read.record : undefined;
}

/**
 * All there are.
 *
 * @throws Error of node:fs when the directory is there and cannot be read
 */
export function readRecords(): ReadRecord[] {
  return recordNames().map((name) => readRecord(`${RECORDS}/${name}`));
}

/**
 * Removes the oldest records, when there are too many.
 *
 * @throws Error of node:fs
 */
export function removeOldRecords(): void {
  const names = recordNames();
  if (names.length <= RECORDS_MAX) return;
  const files = names.map((name) => {
    const file = `${RECORDS}/${name}`;
    return { file, age: fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0 };
  });
  files.sort((a, b) => a.age - b.age);
  for (const { file } of files.slice(0, files.length - RECORDS_MAX)) fs.rmSync(file, { force: true });
}

function recordNames(): string[] {
  if (!fs.existsSync(RECORDS)) return [];
  return fs.readdirSync(RECORDS).filter((name) => name.endsWith(SUFFIX) && !name.startsWith('.'));
}

/** A path may be longer than a file name may be, and holds slashes. */
function recordFile(target: string): string {
  return `${RECORDS}/${new Bun.CryptoHasher('sha256').update(target).digest('hex').slice(0, 32)}${SUFFIX}`;
}

function readRecord(file: string): ReadRecord {
  try {
    const { size } = fs.statSync(file);
    if (size > RECORD_MAX) return { file, defect: `it has ${size} bytes, more than a record can have` };
    return { file, record: parseRecord(fs.readFileSync(file, 'utf8')) };
  } catch (error) {
    return { file, defect: error instanceof Error ? error.message : String(error) };
  }
}
