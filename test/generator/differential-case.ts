/** One start of a generator: the command line it finds, and the machine around it. */
export interface Case {
  /** A lone surrogate U+DCxx stands for the byte xx where the text is no UTF-8. */
  readonly commandLine: string;
  /** The system credential `import.pull`, spelled likewise; undefined: there is none. */
  readonly credential: string | undefined;
  readonly inInitrd: boolean;
  /** What the EFI variable `StubDeviceURL` holds, in UTF-16 code units; undefined: there is no such variable. */
  readonly bootUrl: string | undefined;
  /** The expressions that this side of the boot has to obey. */
  readonly expressions: readonly string[];
  /** The values of the two action parameters that this side of the boot has to obey, in order. */
  readonly successActions: readonly string[];
  readonly failureActions: readonly string[];
}

/** What one unit is to do. */
export interface Transfer {
  /** The escaped path of the local object: the instance in the unit's name. */
  readonly instance: string;
  readonly remote: string;
  readonly local: string;
  readonly class: string;
  readonly type: string;
  readonly verify: string;
  readonly readOnly: boolean;
  /** The directory that the local object lies in. */
  readonly imageRoot: string;
  readonly blockdev: boolean;
  /** Whether it waits for the network. */
  readonly network: boolean;
  /** Empty when nothing is to happen. */
  readonly successAction: string;
  readonly failureAction: string;
}

/** What comes out of it: the transfers, ordered by their instances, or an abort that leaves nothing. */
export type Outcome = readonly Transfer[] | 'aborted';

/** The transfers of an outcome; of several with one instance the first. */
export function outcome(transfers: Iterable<Transfer>): Outcome {
  const byInstance = new Map<string, Transfer>();
  for (const transfer of transfers) {
    if (!byInstance.has(transfer.instance)) byInstance.set(transfer.instance, transfer);
  }
  return [...byInstance.values()].sort((a, b) => (a.instance < b.instance ? -1 : 1));
}

/** The text of a command line or credential as the kernel holds it. */
export function kernelBytes(text: string): Buffer {
  return Buffer.concat(
    Array.from(text, (character) => {
      const code = character.charCodeAt(0);
      return code >= 0xdc80 && code <= 0xdcff && character.length === 1
        ? Buffer.of(code & 0xff)
        : Buffer.from(character);
    }),
  );
}
