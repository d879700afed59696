import fs from 'node:fs';

/** Messages are at least this far apart, in ms: each of them takes two processes. */
const INTERVAL = 2000;

/** How long the client may take, in ms. One that takes longer is killed, and plymouth hears no more of us. */
const PATIENCE = 2000;

/** How long it may take until the last message has gone away, or has taken the place of the one before it, in ms. */
const LAST_PATIENCE = { gone: 500, kept: 2000 } as const;

/** Longer messages, in bytes, make the client abort: its protocol has one byte for their length (ply-boot-client.c). */
const LONGEST = 254;
const CUT = '…';

const USUAL_DIRECTORIES = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];

/** The splash screen. Only `display-message` is for a boot: themes show `system-update` when the system is updated. */
export interface Plymouth {
  /** Shows a line in place of the one before. Those that come too fast are left out. */
  show(text: string): void;
  /** Shows a line that stays when all has ended. None comes after it. */
  keep(text: string): void;
  /** Ends it: what is not kept is hidden. */
  close(): Promise<void>;
}

/** The path of plymouth's client; undefined when it is not installed. */
export function plymouthClient({ PATH = '' }: NodeJS.ProcessEnv): string | undefined {
  return [...PATH.split(':').filter((directory) => directory.startsWith('/')), ...USUAL_DIRECTORIES]
    .map((directory) => `${directory}/plymouth`)
    .find((file) => fs.existsSync(file));
}

/**
 * Speaks to plymouth through its client (plymouth(1)). One process at a time; nobody waits for it.
 *
 * @param now a clock in ms
 */
export function createPlymouth(client: string, now: () => number = () => performance.now()): Plymouth {
  let shown: string | undefined;
  let wanted: string | undefined;
  let shownAt = Number.NEGATIVE_INFINITY;
  let isKept = false;
  let isClosed = false;
  let works = run(client, '--ping');

  /** plymouthd keeps each message until it is hidden. */
  const replace = async (text: string | undefined): Promise<boolean> => {
    const before = shown;
    shown = undefined;
    if (before !== undefined && !(await run(client, 'hide-message', `--text=${before}`))) return false;
    if (text === undefined) return true;
    shown = text;
    return await run(client, 'display-message', `--text=${text}`);
  };
  const work = async () => {
    while (wanted !== undefined && (await works)) {
      const text = wanted;
      wanted = undefined;
      works = replace(text);
      await works;
    }
  };
  let working = Promise.resolve();
  const want = (text: string) => {
    wanted = fitting(text);
    working = working.then(work);
  };
  return {
    show(text) {
      const at = now();
      if (isKept || isClosed || at - shownAt < INTERVAL) return;
      shownAt = at;
      want(text);
    },
    keep(text) {
      isKept = true;
      want(text);
    },
    async close() {
      isClosed = true;
      const end = async () => {
        await working;
        if ((await works) && !isKept) await replace(undefined);
      };
      await Promise.race([end(), Bun.sleep(isKept ? LAST_PATIENCE.kept : LAST_PATIENCE.gone)]);
    },
  };
}

function fitting(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= LONGEST) return text;
  const cut = bytes.subarray(0, LONGEST - Buffer.byteLength(CUT));
  // A character that is cut in two is left out.
  return new TextDecoder().decode(cut, { stream: true }) + CUT;
}

/** Whether the client ran and succeeded in time. */
async function run(client: string, ...args: string[]): Promise<boolean> {
  try {
    const child = Bun.spawn([client, ...args], {
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'ignore',
      timeout: PATIENCE,
      killSignal: 'SIGKILL',
    });
    child.unref();
    return (await child.exited) === 0;
  } catch {
    return false;
  }
}
