import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import type { Location } from '../../src/source/source.ts';
import { DEFAULT_LIMITS } from '../../src/transfer/limits.ts';
import { DEFAULT_MEMORY } from '../../src/transfer/pipeline/memory.ts';
import {
  runTransfer,
  type Transfer,
  type TransferObserver,
  type TransferResult,
} from '../../src/transfer/transfer.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** What became of a transfer. */
export interface Outcome {
  readonly result: TransferResult | undefined;
  readonly error: RdpullError | undefined;
  /** The lines about what went wrong on the way. */
  readonly said: readonly string[];
  /** The image; undefined when there is none. */
  readonly image: Buffer | undefined;
}

export interface RunOptions extends Partial<Transfer> {
  readonly patience?: number;
  readonly silence?: number;
  readonly signal?: AbortSignal;
  readonly converting?: TransferObserver['converting'];
}

/**
 * Runs a transfer of a raw image into a directory of its own, without verification where nothing else is said, and
 * checks that it leaves nothing there but the image.
 */
export async function transferOf(
  urls: string | readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  const { patience = 20_000, silence = 20_000, ...rest } = options;
  const { signal = new AbortController().signal, converting = () => undefined, ...transfer } = rest;
  using directory = new TemporaryDirectory();
  directory.write('bystander', '');
  const said: string[] = [];
  const target = directory.file('image.raw');
  const locations: Location[] = [urls].flat().map((url) => ({ url, login: undefined }));
  let result: TransferResult | undefined;
  let error: RdpullError | undefined;
  try {
    result = await runTransfer(
      {
        locations,
        type: 'raw',
        target,
        verify: { kind: 'no' },
        keyrings: [],
        readOnly: false,
        force: false,
        certificates: [],
        overcommit: false,
        tellsDigest: false,
        limits: DEFAULT_LIMITS,
        memory: DEFAULT_MEMORY,
        sideFiles: () => [],
        ...transfer,
      },
      {
        ca: [],
        login: undefined,
        signal,
        silence,
        patience: { milliseconds: patience, notify: (text) => void said.push(text) },
      },
      {
        started: () => undefined,
        explain: () => undefined,
        progress: () => undefined,
        converting,
        warn: (text) => void said.push(text),
      },
    );
  } catch (caught) {
    if (!(caught instanceof RdpullError)) throw caught;
    error = caught;
  }
  const left = directory.names();
  const expected = error === undefined ? ['bystander', 'image.raw'] : ['bystander'];
  if (left.join() !== expected.join()) throw new Error(`the transfer leaves ${left.join(', ')}`);
  return { result, error, said, image: error === undefined ? fs.readFileSync(target) : undefined };
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
