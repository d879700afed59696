import { expect, test } from 'bun:test';
import { parseCommandLine } from '../../src/commands/command-line.ts';
import { memory } from '../../src/commands/memory-argument.ts';
import { pull } from '../../src/commands/pull.ts';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { threadingMemory } from '../../src/transfer/pipeline/memory.ts';

const MIB = 1024 * 1024;
const memoryOf = (...args: string[]) => memory(parseCommandLine(pull, [...args, 'http://h/image.raw']));

test('without the option it is less than 300 MiB', () => {
  expect(memoryOf()).toBe(288 * MIB);
});

test.each([
  ['100663296', 96 * MIB],
  ['128M', 128 * MIB],
  ['131072k', 128 * MIB],
  ['1G', 1024 * MIB],
])('--memory=%s', (text, bytes) => {
  expect(memoryOf(`--memory=${text}`)).toBe(bytes);
});

test.each(['95M', '0', '-1', '1.5G', '128MB', 'much', '99999999999999T'])(
  '--memory=%s is refused',
  (text) => {
    try {
      memoryOf(`--memory=${text}`);
    } catch (error) {
      if (!(error instanceof RdpullError)) throw error;
      expect(error.code).toBe('bad-option');
      expect(error.message).toBe(`--memory=${text} is not valid`);
      expect(error.hint).toContain('from 96M up');
      return;
    }
    throw new Error('it was accepted');
  },
);

test('what is too little for blocks side by side leaves nothing for them, and is no failure', () => {
  expect(threadingMemory(96 * MIB)).toBe(0);
  expect(threadingMemory(288 * MIB)).toBe(176 * MIB);
});
