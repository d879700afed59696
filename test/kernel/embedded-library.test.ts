import { expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import path from 'node:path';

const SOURCE = path.join(import.meta.dir, '../../src/kernel');
const LIBRARY = path.join(import.meta.dir, '../../dist/libraries/libbz2.so');

/** Runs lines of a program of its own: no descriptor of another test is in its way. */
function programOf(lines: string): { readonly status: number | null; readonly stderr: string } {
  return spawnSync(process.execPath, ['--eval', lines], { cwd: SOURCE, encoding: 'utf8' });
}

const OPEN = `openEmbeddedLibrary('${LIBRARY}', { BZ2_bzlibVersion: { args: [], returns: 'cstring' } })`;

test('a library that another thread is loading is not taken from the descriptor that its loader has open for a moment', () => {
  // As the loader's, it may only be read, and has a lower number than the one that stays. What is in it tells whether it was used.
  const { stderr, status } = programOf(`
    import { ptr } from 'bun:ffi';
    import fs from 'node:fs';
    import { openEmbeddedLibrary } from './embedded-library.ts';
    import { cString, libc } from './libc.ts';
    const { memfd_create } = libc({ memfd_create: { args: ['ptr', 'u32'], returns: 'i32' } });
    const lowest = fs.openSync('/dev/null', 'r');
    const fd = memfd_create(ptr(cString('${path.basename(LIBRARY)}')), 0);
    fs.ftruncateSync(fd, fs.statSync('${LIBRARY}').size);
    fs.closeSync(lowest);
    if (fs.openSync(\`/proc/self/fd/\${fd}\`, 'r') >= fd) throw new Error('it is not the lowest');
    fs.closeSync(fd);
    ${OPEN}.BZ2_bzlibVersion();
  `);
  expect(stderr).toBe('');
  expect(status).toBe(0);
});

test('threads that load it one after the other share one file in memory', () => {
  const { stderr, status } = programOf(`
    import fs from 'node:fs';
    import { openEmbeddedLibrary } from './embedded-library.ts';
    for (let round = 0; round < 3; round++) ${OPEN};
    const kept = fs.readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return fs.readlinkSync(\`/proc/self/fd/\${fd}\`).startsWith('/memfd:');
      } catch {
        return false;
      }
    });
    if (kept.length !== 1) throw new Error(\`\${kept.length} are open\`);
  `);
  expect(stderr).toBe('');
  expect(status).toBe(0);
});
