import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { exists, readSmallFile } from '../kernel/small-file.ts';
import { decryptCredential } from '../request/encrypted-credential.ts';
import { inInitrd } from '../request/initrd.ts';
import type { GeneratorInput } from './unit-plan.ts';

/** The credentials: with one expression a line (system-credentials(7)), and with the device of the cache. */
const CREDENTIAL = 'import.pull';
const CACHE_CREDENTIAL = 'rdpull.cache';

/** Bytes of a line that are read; systemd gives up at longer ones (LINE_MAX of limits.h). */
const LINE_MAX = 2048;

/** Bytes of a credential: the limit for all of them together (systemd.exec(5)). No command line is as long, either. */
const TEXT_MAX = 1024 * 1024;

/**
 * Gathers what systemd passes to a generator (systemd.generator(7)) and what this machine says.
 *
 * @param warn takes a line about what cannot be read
 */
export function readGeneratorInput(
  environment: NodeJS.ProcessEnv,
  warn: (message: string) => void,
): Omit<GeneratorInput, 'lacksBootUrl'> {
  const credential = readCredential(CREDENTIAL, environment, warn);
  const cache = readCredential(CACHE_CREDENTIAL, environment, warn);
  const [device] = cache?.lines ?? [];
  return {
    commandLine: readCommandLine(environment, warn),
    credential: credential && { path: credential.path, expressions: credential.lines },
    cacheCredential: cache && device !== undefined ? { path: cache.path, text: device } : undefined,
    inInitrd: inInitrd(environment),
    executable: process.execPath,
    exists,
  };
}

/** In a container the kernel's belongs to the machine around it: there the arguments of PID 1 count. */
function readCommandLine(environment: NodeJS.ProcessEnv, warn: (message: string) => void): string {
  const { SYSTEMD_PROC_CMDLINE: given, SYSTEMD_VIRTUALIZATION: around } = environment;
  if (given !== undefined) return given;
  const inContainer = around?.startsWith('container:') === true;
  const path = inContainer ? '/proc/1/cmdline' : '/proc/cmdline';
  try {
    const text = readText(path);
    return inContainer ? text.split('\0').map(quoteWord).join(' ') : text;
  } catch (error) {
    warn(`${path} cannot be read: ${reasonOf(error)}`);
    return '';
  }
}

/** One word of a command line, for the parser that takes quotes away. */
export function quoteWord(word: string): string {
  return `"${word.replaceAll('"', `"'"'"`)}"`;
}

function readCredential(
  name: string,
  environment: NodeJS.ProcessEnv,
  warn: (message: string) => void,
): { readonly path: string; readonly lines: readonly string[] } | undefined {
  const { CREDENTIALS_DIRECTORY: plain, ENCRYPTED_CREDENTIALS_DIRECTORY: encrypted } = environment;
  for (const [directory, read] of [
    [plain, readText],
    [encrypted, decryptCredential],
  ] as const) {
    const path = `${directory}/${name}`;
    if (directory === undefined || !exists(path)) continue;
    try {
      return { path, lines: readLines(read(path), name, warn) };
    } catch (error) {
      const { message, hint } = RdpullError.from(error);
      warn(`the credential ${name} is ignored: ${message}; ${hint}`);
      return undefined;
    }
  }
  return undefined;
}

/** @throws RdpullError, SystemCallError */
function readText(path: string): string {
  const text = readSmallFile(path, TEXT_MAX);
  if (text !== undefined) return text;
  throw new RdpullError('file-unreadable', `it has more than ${TEXT_MAX} bytes`, 'shorten it');
}

/** The lines that say something: without the space around them, comments and empty ones. */
function readLines(text: string, name: string, warn: (message: string) => void): string[] {
  return (
    text
      // As systemd ends a line (read_line_full() of fileio.c).
      .split(/[\n\r\0]/)
      .map((line) => line.trim())
      .filter((line, index) => {
        const bytes = Buffer.byteLength(line);
        if (bytes > LINE_MAX) {
          warn(
            `line ${index + 1} of the credential ${name} is ignored: ` +
              `it is ${bytes} bytes long, ${LINE_MAX} is the limit`,
          );
        }
        return bytes <= LINE_MAX && line !== '' && !line.startsWith('#');
      })
  );
}
