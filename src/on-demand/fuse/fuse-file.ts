import fs from 'node:fs';
import { constants } from 'node:os';
import { RdpullError, reasonOf } from '../../console/rdpull-error.ts';
import { openEvent, raiseEvent } from '../../kernel/event-descriptor.ts';
import { FuseAnswers, fuseMount, openFuseDevice } from '../../kernel/fuse-device.ts';
import { isSystemError, SystemCallError } from '../../kernel/system-error.ts';
import type { ImageCache } from '../cache/image-cache.ts';
import type { FromWorker, Start } from './messages.ts';
import { errorReply, MAX_READ, replyHeader } from './reply.ts';

/** A file whose bytes come from a cache, or are waited for. Nobody reaches it by a path: there is no mount that could be seen. */
export interface FuseFile extends AsyncDisposable {
  /** The file, opened for reading; of no use after {@link release}. */
  readonly fd: number;
  /** What the kernel calls it, as in /sys/block/loop0/loop/backing_file. */
  readonly path: string;
  /** Nobody has the file any more. Rejects when it cannot be answered for any longer: whoever reads it then gets EIO. */
  readonly ended: Promise<void>;
  /** Lets go of {@link fd}: from now on, the file ends with its last other user, such as a loop device. */
  release(): void;
  /** Ends the file, whoever has it: they get EIO. What {@link openFuseFile} was given may be closed afterwards. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface FuseFileOptions {
  /** What the file is called, for whoever looks at a device it is attached to: an absolute path without `.` and `..`. */
  readonly path: string;
}

// Not by promisify(): node:util takes as long to load as node:fs.
const openFile = (path: string, flags: number) =>
  new Promise<number>((resolve, reject) => {
    fs.open(path, flags, (error, fd) => (error === null ? resolve(fd) : reject(error)));
  });
const closeFile = (fd: number) =>
  new Promise<void>((resolve, reject) => {
    fs.close(fd, (error) => (error ? reject(error) : resolve()));
  });

/**
 * Makes a file of a cache. Reads of what is there are answered by a worker thread, however busy this one is; for the others
 * `want` is called: when it resolves, the bytes are in the cache; when it rejects, that read fails with EIO, and the next one
 * asks again.
 *
 * This thread must never wait for a read of the file, or of a device on it: it would wait for itself.
 *
 * @throws RdpullError fuse-missing, fuse-failed, not-root; nothing remains then
 */
export async function openFuseFile(
  cache: ImageCache,
  want: (offset: number, length: number) => Promise<void>,
  { path }: FuseFileOptions,
): Promise<FuseFile> {
  const device = openDevice();
  let stop: number | undefined;
  let mount: number;
  try {
    stop = openEvent();
    mount = fuseMount(device, 'rdpull', MAX_READ);
  } catch (error) {
    if (stop !== undefined) fs.closeSync(stop);
    fs.closeSync(device);
    throw mountError(error);
  }
  // Not before: read(2) of a /dev/fuse that has no file system yet fails with EPERM.
  const service = new FuseService(device, stop, cache, want, path);
  try {
    // In threads of the pool, for this one may have to say why it fails.
    const place = `/proc/self/fd/${mount}${path}`;
    // Kernels before 5.16 want an answer (FUSE_FLUSH) whenever the file is closed, until they have got ENOSYS once. A process
    // that is killed with the file open would wait for itself then, for ever.
    await closeFile(await openFile(place, fs.constants.O_RDONLY));
    service.fd = await openFile(place, fs.constants.O_RDONLY);
    return service;
  } catch (error) {
    await service[Symbol.asyncDispose]();
    // Where the worker has failed, that is why.
    await service.ended;
    throw mountError(error);
  } finally {
    fs.closeSync(mount);
  }
}

/** The main thread's end: the worker, and the reads that it has passed on. */
class FuseService implements FuseFile {
  readonly path: string;
  readonly ended: Promise<void>;
  /** Given when it is there. */
  fd = -1;
  readonly #worker = new Worker(new URL('./fuse-worker.ts', import.meta.url).href, { smol: true });
  readonly #end = Promise.withResolvers<void>();
  readonly #device: number;
  readonly #stop: number;
  readonly #want: (offset: number, length: number) => Promise<void>;
  readonly #answers: FuseAnswers;
  /** The requests that are waited for. */
  readonly #waiting = new Set<bigint>();
  #hasEnded = false;

  constructor(
    device: number,
    stop: number,
    { fd, size, present }: ImageCache,
    want: (offset: number, length: number) => Promise<void>,
    path: string,
  ) {
    this.path = path;
    this.#device = device;
    this.#stop = stop;
    this.#want = want;
    this.#answers = new FuseAnswers(device, { fd, size }, MAX_READ);
    this.ended = this.#end.promise;
    // Whoever waits for it sees it; an unread one is not an error of its own.
    this.ended.catch(() => undefined);
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#receive(data);
    this.#worker.onerror = (event) => this.#finish(event.error ?? new Error(event.message));
    const start: Start = { device, stop, file: fd, size, bits: present.bits, path };
    this.#worker.postMessage(start);
  }

  release(): void {
    if (this.fd < 0) return;
    fs.closeSync(this.fd);
    this.fd = -1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    if (!this.#hasEnded) raiseEvent(this.#stop);
    await this.ended.catch(() => undefined);
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case 'missing':
        void this.#fetch(message.unique, message.offset, message.length);
        break;
      case 'interrupt':
        if (this.#waiting.delete(message.interrupted)) this.#fail(message.interrupted, constants.errno.EINTR);
        break;
      case 'ended':
        this.#finish();
        break;
      case 'failed':
        this.#finish(RdpullError.fromRecord(message.error));
        break;
    }
  }

  async #fetch(unique: bigint, offset: number, length: number): Promise<void> {
    this.#waiting.add(unique);
    let isThere: boolean;
    try {
      await this.#want(offset, length);
      isThere = true;
    } catch {
      // Whoever fetches has told why.
      isThere = false;
    }
    if (!this.#waiting.delete(unique)) return;
    try {
      if (!isThere) this.#fail(unique, constants.errno.EIO);
      else this.#answers.sendPart(replyHeader(unique, length), offset, length);
    } catch (error) {
      if (error instanceof SystemCallError && error.syscall === 'pread')
        this.#fail(unique, constants.errno.EIO);
      else this.#finish(error);
    }
  }

  #fail(unique: bigint, errno: number): void {
    this.#answers.send(errorReply(unique, errno));
  }

  /** No answer is given from now on, not even by mistake: the descriptors may be somebody else's soon. */
  #finish(error?: unknown): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#waiting.clear();
    fs.closeSync(this.#device);
    fs.closeSync(this.#stop);
    this.release();
    this.#answers[Symbol.dispose]();
    this.#worker.terminate();
    if (error === undefined) this.#end.resolve();
    else this.#end.reject(fuseFailed(error));
  }
}

function openDevice(): number {
  try {
    return openFuseDevice();
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENODEV', 'ENXIO')) throw fuseMissing('/dev/fuse is not there', error);
    throw mountError(error);
  }
}

function fuseMissing(why: string, cause: unknown): RdpullError {
  return new RdpullError(
    'fuse-missing',
    `this system has no FUSE, by which an image is attached that is not all there: ${why}`,
    'load the module with "modprobe fuse"; an initrd must hold it: add_drivers+=" fuse " for dracut, KernelModules=fuse for mkosi; or pull without on-demand',
    { cause },
  );
}

function mountError(error: unknown): unknown {
  if (error instanceof RdpullError || !(error instanceof Error && 'code' in error)) return error;
  if (isSystemError(error, 'EPERM', 'EACCES')) {
    return new RdpullError(
      'not-root',
      'a FUSE file system needs root (CAP_SYS_ADMIN)',
      'run it again as root',
      { cause: error },
    );
  }
  if (isSystemError(error, 'ENODEV')) return fuseMissing('the kernel does not know that file system', error);
  return fuseFailed(error);
}

function fuseFailed(error: unknown): RdpullError {
  if (error instanceof RdpullError) return error;
  return new RdpullError(
    'fuse-failed',
    `the FUSE file system of an image has failed: ${reasonOf(error)}`,
    'look into the kernel log with dmesg; or pull without on-demand',
    { cause: error },
  );
}
