import { RdpullError } from '../console/rdpull-error.ts';
import { compressionOf, MEMBER_START_BYTES } from './compression-magic.ts';
import type { Decoder, DecoderContext } from './decoder.ts';

const NOTHING: Uint8Array = new Uint8Array(0);

/** Bytes decoded before they are handed to the sink: a multiple of every file system's block. */
const OUTPUT_BYTES = 1024 * 1024;

/** What one call into a decompression library did. */
export interface Step {
  /** Bytes taken from the input. */
  readonly consumed: number;
  /** Bytes put into the output. */
  readonly produced: number;
  /** The member is complete, its integrity check included. */
  readonly ended: boolean;
}

/**
 * A compressed file is a row of members: gzip members, xz streams, bzip2 streams, zstd frames. A codec knows how
 * its library decodes one of them.
 */
export interface MemberCodec {
  readonly format: string;
  /** Zero bytes may follow a member, in multiples of this (only xz has such padding). */
  readonly paddingUnit?: number;
  /** Whether the format's own tool passes over what follows the last member, with a warning. */
  readonly passesOverTrailing?: boolean;
  /** Gets ready for the next member. */
  begin(): void;
  /** Decodes some input. `last`: no more input follows. */
  step(input: Uint8Array, output: Uint8Array, last: boolean): Step;
  /**
   * Decodes one member that is all there, by itself, and without a copy in between, where the library can.
   *
   * @returns whether all of `input` was one, and all of `output` came out of it; else {@link step} tells what is wrong
   */
  whole?(input: Uint8Array, output: Uint8Array): boolean;
  close(): void;
}

/**
 * Decodes every member of a file, and accepts nothing else before, between or behind them; only where a digest vouches for the
 * bytes may something follow the last member, as far as the format's own tool passes over it.
 */
export function openMemberDecoder(
  codec: MemberCodec,
  { sink, cancelled, tellTrailing }: DecoderContext,
): Decoder {
  /** One of them is being filled while the other one is being written. */
  const outputs = [new Uint8Array(OUTPUT_BYTES), new Uint8Array(OUTPUT_BYTES)] as const;
  let filled: 0 | 1 = 0;
  let writing: Promise<void> | undefined;
  const paddingUnit = codec.paddingUnit ?? 0;
  let insideMember = false;
  let members = 0;
  let padding = 0;
  /** The first bytes behind a member, as long as they are too few to tell what they are. */
  let start: Uint8Array = NOTHING;
  let isBehindLast = false;

  /** Decodes until the library wants more input or the member ends; returns how much input it took. */
  async function decode(input: Uint8Array, last: boolean): Promise<number> {
    let position = 0;
    while (insideMember && !cancelled()) {
      const output = outputs[filled];
      const { consumed, produced, ended } = codec.step(input.subarray(position), output, last);
      position += consumed;
      if (produced > 0) await handOver(output.subarray(0, produced));
      insideMember = !ended;
      const starved = position === input.length && produced < OUTPUT_BYTES;
      if (starved && (!last || (consumed === 0 && produced === 0))) break;
    }
    return position;
  }

  /** Lets the sink have `decoded`, once it is through with what it had before. */
  async function handOver(decoded: Uint8Array): Promise<void> {
    await writing;
    writing = sink.write(decoded);
    // A failure is seen by whoever waits for it next.
    writing?.catch(() => undefined);
    filled = filled === 0 ? 1 : 0;
  }

  function skipPadding(input: Uint8Array, start: number): number {
    let position = start;
    while (position < input.length && input[position] === 0) position++;
    padding += position - start;
    return position;
  }

  async function write(input: Uint8Array): Promise<void> {
    for (let rest = input; rest.length > 0 && !cancelled() && !isBehindLast; ) {
      if (insideMember) rest = rest.subarray(await decode(rest, false));
      else if (members === 0) beginMember();
      else rest = await behindMember(rest);
    }
  }

  function beginMember(): void {
    padding = 0;
    codec.begin();
    insideMember = true;
    members++;
  }

  /** Whether a member begins with these bytes: what does not, behind a member, is garbage. */
  const isMember = (bytes: Uint8Array) => compressionOf(bytes) === codec.format;

  /** Finds out whether another member begins; returns what is left of `input` then. */
  async function behindMember(input: Uint8Array): Promise<Uint8Array> {
    // A zero byte behind the first ones of a magic number is one of it (the last one of xz is), and no padding.
    const isPadded = paddingUnit > 0 && start.length === 0;
    const rest = isPadded ? input.subarray(skipPadding(input, 0)) : input;
    const taken = Math.min(rest.length, MEMBER_START_BYTES - start.length);
    start = Buffer.concat([start, rest.subarray(0, taken)]);
    if (start.length < MEMBER_START_BYTES) return NOTHING;
    if (!isMember(start) || (padding > 0 && padding % paddingUnit !== 0)) {
      trailing();
      return NOTHING;
    }
    const begun = start;
    start = NOTHING;
    beginMember();
    await decode(begun, false);
    return rest.subarray(taken);
  }

  /** Something that is no member follows one. */
  function trailing(): void {
    if (codec.passesOverTrailing !== true || tellTrailing === undefined) throw streamTrailingData(codec);
    tellTrailing(
      `something that is not ${codec.format} follows the end of the ${codec.format} stream: passed over`,
    );
    isBehindLast = true;
    start = NOTHING;
  }

  async function finish(): Promise<void> {
    await decode(NOTHING, true);
    await writing;
    if (cancelled()) return;
    if (insideMember) throw streamTruncated(codec.format);
    if (isMember(start)) throw streamTruncated(codec.format);
    if (start.length > 0) trailing();
    if (padding > 0 && padding % paddingUnit !== 0) throw streamTrailingData(codec);
  }

  return { write, finish, close: () => codec.close() };
}

const HINT_DAMAGED =
  'the file on the server is damaged or incomplete: build or upload it again, and let a checksum file guard it';

function streamTruncated(format: string): RdpullError {
  return new RdpullError('stream-truncated', `the ${format} stream ends too early`, HINT_DAMAGED);
}

function streamTrailingData({ format, passesOverTrailing }: MemberCodec): RdpullError {
  return new RdpullError(
    'stream-trailing-data',
    `something that is not ${format} follows the end of the ${format} stream`,
    passesOverTrailing === true
      ? `upload the file again; or let a checksum file vouch for it: then it is passed over, as ${format}(1) does`
      : HINT_DAMAGED,
  );
}

/** What a library says that finds the stream broken. */
export function streamCorrupt(format: string, reason: string): RdpullError {
  return new RdpullError('stream-corrupt', `the ${format} stream is corrupt (${reason})`, HINT_DAMAGED);
}
