import { boundLines } from '../console/bounded-lines.ts';
import { discreet } from '../console/shown-url.ts';
import { LineDevice } from '../kernel/small-file.ts';

/** Priority of syslog(3). */
const LOG_WARNING = 4;

/** Bytes of a record: the kernel refuses more (include/linux/printk.h: PRINTK_MESSAGE_MAX and its like are above). */
const RECORD_MAX = 1000;

/** Lines of one run. The kernel's log is small, and slows down who writes much (printk.devkmsg in kernel-parameters). */
const LINES_MAX = 50;

/** Where a generator says what is wrong. */
export interface GeneratorLog {
  readonly warn: (message: string) => void;
  /** Says how many lines were too many. */
  close(): void;
}

/**
 * The kernel's log when systemd runs us, because the journal may wait for us; standard error when a person does, or
 * when that log cannot be opened.
 */
export function openGeneratorLog(environment: NodeJS.ProcessEnv): GeneratorLog {
  const kernel = environment['SYSTEMD_SCOPE'] === undefined ? undefined : openKernelLog();
  function write(message: string): void {
    if (kernel === undefined) process.stderr.write(`rdpull: ${message}\n`);
    else writeRecord(kernel, `<${LOG_WARNING}>rdpull-generator: ${message}`);
  }
  const lines = boundLines(LINES_MAX, (message) => write(discreet(message)));
  return {
    warn: lines.add,
    close() {
      lines.end();
      kernel?.close();
    },
  };
}

function openKernelLog(): LineDevice | undefined {
  try {
    return new LineDevice('/dev/kmsg');
  } catch {
    return undefined;
  }
}

/** One write is one record. */
function writeRecord(log: LineDevice, text: string): void {
  const bytes = Buffer.from(text);
  let end = Math.min(bytes.length, RECORD_MAX);
  // Not in the middle of a character.
  while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  try {
    log.write(Buffer.concat([bytes.subarray(0, end), Buffer.from('\n')]));
  } catch {
    // Nobody is left to tell.
  }
}
