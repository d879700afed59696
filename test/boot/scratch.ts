import fs from 'node:fs';
import path from 'node:path';

/** Where trees, initrds and logs are kept from run to run. */
export const SCRATCH = process.env['RDPULL_SCRATCH'] ?? '/var/tmp/rdpull';

/** The working copy that is tested. */
export const CHECKOUT = path.resolve(import.meta.dir, '../..');

/** The SHA-256 of texts and of the files below paths, their names included. */
export function contentHash(texts: readonly string[], paths: readonly string[]): string {
  const hash = new Bun.CryptoHasher('sha256');
  for (const text of texts) hash.update(`${text}\0`);
  for (const file of paths.flatMap(filesBelow)) {
    hash.update(`${path.relative(CHECKOUT, file)}\0`);
    hash.update(fs.readFileSync(file));
  }
  return hash.digest('hex').slice(0, 16);
}

/** `make` is given a name for the file that nobody else sees, and its work is kept for as long as the key is the same. */
export async function cached(
  name: string,
  key: string,
  make: (file: string) => Promise<void>,
): Promise<string> {
  const directory = path.join(SCRATCH, 'cache');
  const file = path.join(directory, `${name}-${key}`);
  if (fs.existsSync(file)) {
    const now = new Date();
    fs.utimesSync(file, now, now);
    return file;
  }
  fs.mkdirSync(directory, { recursive: true });
  removeOld(directory);
  const unfinished = `${file}.${process.pid}.unfinished`;
  try {
    await make(unfinished);
    fs.renameSync(unfinished, file);
  } finally {
    fs.rmSync(unfinished, { force: true });
  }
  return file;
}

/** Every build of rdpull makes initrds of 90 MB: those that nobody has used for a day go, in ms. */
const KEPT = 24 * 60 * 60 * 1000;

function removeOld(directory: string): void {
  for (const name of fs.readdirSync(directory)) {
    const file = path.join(directory, name);
    const used = fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    if (used !== undefined && used < Date.now() - KEPT) fs.rmSync(file, { force: true });
  }
}

function filesBelow(start: string): string[] {
  const stat = fs.statSync(start);
  if (stat.isFile()) return [start];
  return fs
    .readdirSync(start)
    .sort()
    .flatMap((name) => filesBelow(path.join(start, name)));
}
