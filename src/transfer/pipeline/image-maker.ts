import { parseQcow2Header, QCOW2_HEADER_BYTES } from '../../blocks/qcow2-header.ts';
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
import type { Destination, FromMaker, PipelineResult, ToMaker } from './messages.ts';
import { openControl, type Ring, slotBytes } from './ring.ts';

/** What is made at the moment. */
interface Started {
  readonly destination: Destination;
  readonly ring: Ring;
  readonly control: ReturnType<typeof openControl>;
  readonly threadingMemory: number;
  readonly sink: Sink;
  readonly layer: LayerSink | undefined;
}

/** The decoder before the sink, from the first bytes of the stream on. */
interface Open {
  readonly compression: Compression;
  readonly decoder: Decoder;
}

/** Decodes the stream and writes what comes out, as the messages say, and tells what becomes of it. */
export class ImageMaker {
  readonly #send: (message: FromMaker) => void;
  /** One message is worked on after the other. */
  #work = Promise.resolve();
  #started: Started | undefined;
  /** Bytes of the stream that the decoder was given. */
  #taken = 0;
  #open: Open | undefined;
  #format: PipelineResult['format'] = 'raw';
  #failed = false;

  constructor(send: (message: FromMaker) => void) {
    this.#send = send;
  }

  receive(message: ToMaker): void {
    this.#work = this.#work.then(() => this.#attempt(message));
  }

  async #attempt(message: ToMaker): Promise<void> {
    if (message.kind === 'close') {
      try {
        await this.#close();
      } finally {
        // Whatever has happened: somebody waits for it.
        this.#send({ kind: 'closed' });
      }
      return;
    }
    if (this.#failed) return;
    try {
      await this.#handle(message);
    } catch (error) {
      this.#failed = true;
      this.#send({ kind: 'failed', error: RdpullError.from(error).toRecord() });
    }
  }

  async #handle(message: Exclude<ToMaker, { kind: 'close' }>): Promise<void> {
    if (message.kind === 'start') {
      await this.#start(message);
      return;
    }
    if (this.#started === undefined) throw new Error('nothing was started');
    switch (message.kind) {
      case 'chunk':
        await this.#decode(this.#started, slotBytes(this.#started.ring, message.slot, message.length));
        this.#send({ kind: 'released', slot: message.slot });
        break;
      case 'end':
        await this.#finish(this.#started);
        break;
      case 'plan':
        await this.#plan(this.#started);
        break;
      case 'convert':
        await this.#convert(this.#started, message.shrinks);
        break;
    }
  }

  async #start({ ring, destination, threadingMemory }: Extract<ToMaker, { kind: 'start' }>): Promise<void> {
    const control = openControl(ring);
    this.#taken = 0;
    const { layer, sink: limited } = await this.#openSink(destination);
    const sink = counted(limited, control.addDecodedBytes);
    this.#started = { destination, ring, control, sink, layer, threadingMemory };
  }

  async #decode({ sink, control, threadingMemory, destination }: Started, bytes: Uint8Array): Promise<void> {
    this.#open ??= openFor(bytes, {
      sink,
      cancelled: control.cancelled,
      threadingMemory,
      tellTrailing: destination.isVouchedFor ? this.#warn : undefined,
    });
    this.#taken += bytes.length;
    await this.#open.decoder.write(bytes);
  }

  async #finish({ sink, control, destination, layer }: Started): Promise<void> {
    if (this.#open === undefined) {
      throw new RdpullError('stream-truncated', 'the file is empty', 'check the file on the server');
    }
    await this.#open.decoder.finish();
    if (control.cancelled()) return;
    const { compression } = this.#open;
    const result = { ...(await sink.finish()), compression, format: this.#format };
    if (destination.kind !== 'layer') {
      this.#send({ kind: 'finished', result });
      return;
    }
    const applied = layer?.result();
    // The next one may begin at once.
    await this.#close();
    this.#send({ kind: 'finished', result: { ...result, ...(applied !== undefined && { layer: applied }) } });
  }

  async #plan({ sink, control, destination }: Started): Promise<void> {
    await sink.close();
    const { planConversion } = await import('../conversion/convert.ts');
    const plan = await planConversion(destination.path, control.cancelled);
    if (!control.cancelled()) this.#send({ kind: 'planned', plan });
  }

  async #convert({ control, destination }: Started, shrinks: boolean): Promise<void> {
    const { convertQcow2 } = await import('../conversion/convert.ts');
    const bytes = await convertQcow2(destination.path, shrinks, {
      cancelled: control.cancelled,
      count: control.addConvertedBytes,
    });
    if (!control.cancelled()) this.#send({ kind: 'converted', bytes });
  }

  /** What takes the bytes, and no more than it may; of a layer, also what tells what became of it. */
  async #openSink(
    destination: Destination,
  ): Promise<{ readonly sink: Sink; readonly layer: LayerSink | undefined }> {
    const { path, limits, isVouchedFor } = destination;
    if (destination.kind === 'layer') {
      const { position, digest } = destination;
      const { openLayerSink } = await import('../sink/layers/layer-sink.ts');
      const layer = openLayerSink(path, { warn: this.#warn, limits, isVouchedFor }, position, digest);
      const served = () => position.servedBelow + this.#taken;
      this.#format = 'tar';
      return { layer, sink: limitedSink(layer, limits, served, position.bytesBelow) };
    }
    const type = destination.kind === 'raw-image' ? 'raw' : 'tar';
    const expecting = expectingSink(await this.#openFileSink(destination), {
      type,
      compression: () => this.#open?.compression ?? 'none',
      begun: (start) => {
        this.#format = isQcow2(start) ? 'qcow2' : type;
        if (this.#format === 'qcow2') requireConvertible(start, limits);
      },
    });
    return { layer: undefined, sink: limitedSink(expecting, limits, () => this.#taken) };
  }

  async #openFileSink({ kind, path, limits, isVouchedFor }: Destination): Promise<Sink> {
    if (kind === 'raw-image') {
      compileReluctantly();
      return openRawImageSink(path);
    }
    // Only here, because tarballs take more code than all the rest.
    const { openDirectoryTreeSink } = await import('../sink/directory-tree.ts');
    return openDirectoryTreeSink(path, { warn: this.#warn, limits, isVouchedFor });
  }

  async #close(): Promise<void> {
    await this.#started?.sink.close();
    this.#open?.decoder.close();
    this.#open = undefined;
    this.#started = undefined;
  }

  readonly #warn = (text: string): void => {
    this.#send({ kind: 'warning', text });
  };
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
