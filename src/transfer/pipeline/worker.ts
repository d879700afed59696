import { parseQcow2Header, QCOW2_HEADER_BYTES } from '../../blocks/qcow2-header.ts';
import { silenceLibraries } from '../../console/library-output.ts';
import { RdpullError } from '../../console/rdpull-error.ts';
import { detectCompression, MAGIC_BYTES, openDecoder } from '../../decode/compression.ts';
import type { Compression } from '../../decode/compression-magic.ts';
import type { Decoder, DecoderContext } from '../../decode/decoder.ts';
import { isQcow2 } from '../../decode/qcow2-magic.ts';
import type { Sink } from '../../decode/sink.ts';
import { type Limits, requireSize } from '../limits.ts';
import { compileReluctantly } from '../reluctant-compiler.ts';
import { expectingSink } from '../sink/expected-content.ts';
import type { LayerSink } from '../sink/layers/layer-sink.ts';
import { limitedSink } from '../sink/limited.ts';
import { openRawImageSink } from '../sink/raw-image.ts';
import type { Destination, FromWorker, PipelineResult, ToWorker } from './messages.ts';
import { openControl, type Ring, slotBytes } from './ring.ts';

/**
 * The worker thread of a transfer: decompression and writing, both synchronous and both slow, away from the thread
 * that reads the socket and draws the progress.
 */
declare const self: Worker;

silenceLibraries();

/** The decoder and the sink behind it, from the first bytes of the stream on. */
interface Open {
  readonly compression: Compression;
  readonly decoder: Decoder;
}

let started:
  | {
      destination: Destination;
      ring: Ring;
      sink: Sink;
      layer: LayerSink | undefined;
      control: ReturnType<typeof openControl>;
      threadingMemory: number;
    }
  | undefined;
/** Bytes of the stream that the decoder was given. */
let taken = 0;
let open: Open | undefined;
let format: PipelineResult['format'] = 'raw';
let failed = false;

/** One message is worked on after the other. */
let work = Promise.resolve();

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  work = work.then(() => receive(data));
};

async function receive(message: ToWorker): Promise<void> {
  if (message.kind === 'close') {
    try {
      await close();
    } finally {
      // Whatever has happened: somebody waits for it.
      send({ kind: 'closed' });
    }
    return;
  }
  if (failed) return;
  try {
    await handle(message);
  } catch (error) {
    failed = true;
    send({ kind: 'failed', error: RdpullError.from(error).toRecord() });
  }
}

async function handle(message: Exclude<ToWorker, { kind: 'close' }>): Promise<void> {
  if (message.kind === 'start') {
    await start(message);
    return;
  }
  if (started === undefined) throw new Error('the worker was not started');
  const { destination, ring, sink, control, threadingMemory } = started;
  if (message.kind === 'plan') {
    await sink.close();
    const { planConversion } = await import('../conversion/convert.ts');
    const plan = await planConversion(destination.path, control.cancelled);
    if (!control.cancelled()) send({ kind: 'planned', plan });
    return;
  }
  if (message.kind === 'convert') {
    const { convertQcow2 } = await import('../conversion/convert.ts');
    const bytes = await convertQcow2(destination.path, message.shrinks, {
      cancelled: control.cancelled,
      count: control.addConvertedBytes,
    });
    if (!control.cancelled()) send({ kind: 'converted', bytes });
    return;
  }
  if (message.kind === 'chunk') {
    const bytes = slotBytes(ring, message.slot, message.length);
    const tellTrailing = destination.isVouchedFor ? warn : undefined;
    open ??= openFor(bytes, { sink, cancelled: control.cancelled, threadingMemory, tellTrailing });
    taken += bytes.length;
    await open.decoder.write(bytes);
    send({ kind: 'released', slot: message.slot });
    return;
  }
  if (open === undefined) {
    throw new RdpullError('stream-truncated', 'the file is empty', 'check the file on the server');
  }
  await open.decoder.finish();
  if (control.cancelled()) return;
  const { compression } = open;
  const result = { ...(await sink.finish()), compression, format };
  if (destination.kind !== 'layer') {
    send({ kind: 'finished', result });
    return;
  }
  const layer = started.layer?.result();
  // The next one may begin at once.
  await close();
  send({ kind: 'finished', result: { ...result, ...(layer !== undefined && { layer }) } });
}

async function start({
  ring,
  destination,
  threadingMemory,
}: Extract<ToWorker, { kind: 'start' }>): Promise<void> {
  const control = openControl(ring);
  taken = 0;
  const { layer, sink: limited } = await openSink(destination);
  const sink = counted(limited, control.addDecodedBytes);
  started = { destination, ring, control, sink, layer, threadingMemory };
}

/** What takes the bytes, and no more than it may; of a layer, also what tells what became of it. */
async function openSink(
  destination: Destination,
): Promise<{ readonly sink: Sink; readonly layer: LayerSink | undefined }> {
  const { path, limits, isVouchedFor } = destination;
  if (destination.kind === 'layer') {
    const { position, digest } = destination;
    const { openLayerSink } = await import('../sink/layers/layer-sink.ts');
    const layer = openLayerSink(path, { warn, limits, isVouchedFor }, position, digest);
    const served = () => position.servedBelow + taken;
    format = 'tar';
    return { layer, sink: limitedSink(layer, limits, served, position.bytesBelow) };
  }
  const type = destination.kind === 'raw-image' ? 'raw' : 'tar';
  const expecting = expectingSink(await openFileSink(destination), {
    type,
    compression: () => open?.compression ?? 'none',
    begun(start) {
      format = isQcow2(start) ? 'qcow2' : type;
      if (format === 'qcow2') requireConvertible(start, limits);
    },
  });
  return { layer: undefined, sink: limitedSink(expecting, limits, () => taken) };
}

async function openFileSink({ kind, path, limits, isVouchedFor }: Destination): Promise<Sink> {
  if (kind === 'raw-image') {
    compileReluctantly();
    return openRawImageSink(path);
  }
  // Only here, because tarballs take more code than all the rest of this thread.
  const { openDirectoryTreeSink } = await import('../sink/directory-tree.ts');
  return openDirectoryTreeSink(path, { warn, limits, isVouchedFor });
}

/** What cannot become an image need not be downloaded to its end. */
function requireConvertible(start: Uint8Array, limits: Limits): void {
  requireSize(parseQcow2Header(start.subarray(0, QCOW2_HEADER_BYTES)).size, undefined, limits);
}

function openFor(first: Uint8Array, context: DecoderContext): Open {
  const compression = detectCompression(first.subarray(0, MAGIC_BYTES));
  return { compression, decoder: openDecoder(compression, context) };
}

function counted(sink: Sink, count: (bytes: number) => void): Sink {
  return {
    ...sink,
    async write(chunk) {
      await sink.write(chunk);
      count(chunk.length);
    },
  };
}

async function close(): Promise<void> {
  await started?.sink.close();
  open?.decoder.close();
  open = undefined;
  started = undefined;
}

function warn(text: string): void {
  send({ kind: 'warning', text });
}

function send(message: FromWorker): void {
  postMessage(message);
}
