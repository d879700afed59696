import fs from 'node:fs';
import path from 'node:path';
import type { Entry } from './bench-comparison.ts';
import { measure } from './bench-usage.ts';

/**
 * What no way to pull `file` can do without, each by itself and without anything else: the download, the digest, and the
 * decompression, by the very library that rdpull has inside.
 *
 * @param url of the file
 */
export function limitEntries(file: string, url: string, scratch: string): Entry[] {
  const libraries = path.join(scratch, 'libraries');
  fs.mkdirSync(libraries, { recursive: true });
  const entry = (peer: string, command: readonly string[]): Entry => ({
    peer,
    verified: '',
    target: 'slowest',
    async run() {
      const run = await measure(command, { scratch, stagePeaks: undefined });
      if (!run.ok) throw new Error(`${peer} fails with status ${run.status}: ${run.messages}`);
      return run.usage;
    },
  });
  const entries = [
    entry('curl to /dev/null', ['curl', '-sSf', '-o', '/dev/null', url]),
    entry('sha256sum', ['sha256sum', file]),
  ];
  const decoder = DECODERS[path.extname(file)];
  if (decoder !== undefined) {
    const { library, soname, command } = decoder;
    const link = path.join(libraries, soname);
    fs.rmSync(link, { force: true });
    fs.symlinkSync(path.resolve('dist/libraries', library), link);
    entries.push(
      entry(`${command.join(' ')}, the same ${library.split('.')[0]}`, [
        '/usr/bin/env',
        `LD_LIBRARY_PATH=${libraries}`,
        ...command,
        file,
      ]),
    );
  }
  return entries;
}

/** By the end of the file name. Not gzip(1): rdpull does not use its code. */
const DECODERS: Readonly<
  Record<string, { readonly library: string; readonly soname: string; readonly command: readonly string[] }>
> = {
  '.xz': { library: 'liblzma.so', soname: 'liblzma.so.5', command: ['xz', '-T0', '-dc'] },
  '.gz': { library: 'libisal.so', soname: 'libisal.so.2', command: ['igzip', '-dc'] },
  '.zst': { library: 'libzstd.so', soname: 'libzstd.so.1', command: ['zstd', '-q', '-dc'] },
};
