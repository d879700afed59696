import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { parseSize, shortestSize } from '../request/size-text.ts';
import { DEFAULT_MEMORY, LEAST_MEMORY } from '../transfer/pipeline/memory.ts';
import type { CommandLine, OptionSpec } from './command.ts';

export const MEMORY_OPTION: OptionSpec = {
  name: 'memory',
  value: 'SIZE',
  help: `how much memory to use, more or less, with or without a suffix (K, M, G): with less, fewer blocks of an xz file are decoded side by side (default: ${shortestSize(DEFAULT_MEMORY)})`,
};

/**
 * The value of `--memory=`, in bytes.
 *
 * @throws RdpullError bad-option
 */
export function memory(line: CommandLine): number {
  const text = line.value('memory');
  if (text === undefined) return DEFAULT_MEMORY;
  const bytes = parseSize(text);
  if (bytes !== undefined && bytes >= LEAST_MEMORY && bytes <= Number.MAX_SAFE_INTEGER) return bytes;
  throw new RdpullError(
    'bad-option',
    `--memory=${printable(text)} is not valid`,
    `give a number of bytes from ${shortestSize(LEAST_MEMORY)} up, with or without a suffix (K, M, G)`,
  );
}
