import { printable } from '../../console/printable.ts';
import { size } from '../../console/quantity.ts';
import { reasonOf } from '../../console/rdpull-error.ts';
import type { ServedDirectory } from '../served-directory.ts';
import { isAnyoneConnected } from './connected-hosts.ts';
import { exportSerial, imageUuid } from './export-name.ts';
import { type KernelTarget, NSID, type Portal } from './kernel-target.ts';
import { NVME_PORT, type NvmeExport } from './nvme-announcement.ts';
import { type ExportMode, type LeftImage, openImage, type RawImage, rawImages } from './raw-images.ts';
import { writeProtect } from './write-protection.ts';

/** How often the directory is looked at, in ms. A file that is the same twice is taken for complete. */
const INTERVAL = 2000;

/** Who hears of what happens after the start. */
export interface ExportOutput {
  info(text: string): void;
  warn(text: string): void;
}

/**
 * Exports the raw images of a directory, and goes with it: an image that comes later is exported, too. One that gave its place to
 * another stays what it was for as long as any machine is connected, because it may be the root of that machine; a machine that is
 * rebooted gets the new one.
 */
export class NvmeExports implements AsyncDisposable {
  readonly #target: KernelTarget;
  readonly #directory: ServedDirectory;
  readonly #output: ExportOutput;
  readonly #portal: Portal;
  readonly #port: string;
  readonly #exports = new Map<string, { image: RawImage; key: string }>();
  /** What the directory had when it was looked at the last time, and of which images somebody knows already that they wait. */
  #seen = new Map<string, string>();
  readonly #waiting = new Set<string>();
  #failure = '';
  readonly #refused = new Map<string, string>();
  #left: readonly LeftImage[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** Of the look at the directory that goes on. */
  #following = Promise.resolve();

  private constructor(
    target: KernelTarget,
    directory: ServedDirectory,
    readonly mode: ExportMode,
    address: string,
    output: ExportOutput,
  ) {
    this.#target = target;
    this.#directory = directory;
    this.#output = output;
    this.#portal = { address, port: NVME_PORT };
    this.#port = target.addPort(this.#portal);
  }

  /**
   * @param address that HTTP is served at
   * @throws RdpullError nvme-target-failed, target-busy, loop-missing, loop-failed
   */
  static async start(
    target: KernelTarget,
    directory: ServedDirectory,
    mode: ExportMode,
    address: string,
    output: ExportOutput,
  ): Promise<NvmeExports> {
    const exports = new NvmeExports(target, directory, mode, address, output);
    const { images, left } = rawImages(directory);
    exports.#left = left;
    exports.#seen = exports.#keys(images);
    const made: RawImage[] = [];
    for (const image of images) if (await exports.#make(image)) made.push(image);
    // The first opens the port: all the others have to be there by then.
    for (const image of made) target.link(image.nqn, exports.#port, exports.#portal);
    for (const image of made) await exports.#protect(image);
    exports.#watch();
    return exports;
  }

  /** Sorted by path. */
  get exports(): NvmeExport[] {
    return [...this.#exports.values()].map(({ image: { path, nqn, size } }) => ({ path, nqn, size }));
  }

  /** What looks like an image, and is not exported. */
  get left(): LeftImage[] {
    return [...this.#left, ...[...this.#refused].map(([path, why]) => ({ path, why }))];
  }

  /** Nothing is made any more; what there is goes with the target. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#following;
  }

  #watch(): void {
    this.#timer = setTimeout(() => {
      this.#following = this.#follow()
        .catch((error: unknown) => this.#tellFailure(reasonOf(error)))
        .then(() => {
          if (this.#timer !== undefined) this.#watch();
        });
    }, INTERVAL);
    this.#timer.unref();
  }

  /** The same again and again is told once. */
  #tellFailure(reason: string): void {
    if (reason !== this.#failure) this.#output.warn(`the exports stay as they are: ${reason}`);
    this.#failure = reason;
  }

  /** Makes the exports what the directory has. */
  async #follow(): Promise<void> {
    const images = new Map(rawImages(this.#directory).images.map((image) => [image.path, image]));
    const seen = this.#keys([...images.values()]);
    const isSettled = (path: string) => this.#seen.get(path) === seen.get(path);
    for (const [path, { key }] of this.#exports) {
      if (seen.get(path) !== key && isSettled(path)) this.#giveUp(path);
    }
    for (const [path, image] of images) {
      if (this.#exports.has(path) || !isSettled(path) || this.#refused.has(path)) continue;
      if (await this.#make(image)) {
        this.#open(image);
        await this.#protect(image);
        this.#output.info(`${printable(path)} (${size(image.size)}) is exported: ${image.nqn}`);
      } else {
        this.#output.warn(`${printable(path)} is not exported: ${this.#refused.get(path)}`);
      }
    }
    for (const path of this.#refused.keys()) if (!isSettled(path)) this.#refused.delete(path);
    this.#seen = seen;
    this.#failure = '';
  }

  #open({ nqn, path }: RawImage): void {
    try {
      this.#target.link(nqn, this.#port, this.#portal);
    } catch (error) {
      this.#target.removeSubsystem(nqn);
      this.#exports.delete(path);
      throw error;
    }
  }

  /** Tells hosts that they cannot write: that they cannot does not hang on it. */
  async #protect({ nqn, path }: RawImage): Promise<void> {
    if (this.mode === 'rw') return;
    try {
      await writeProtect(nqn, NSID, this.#portal);
    } catch (error) {
      this.#output.warn(
        `machines see ${printable(path)} as writable, and writes fail: the target does not let it be marked read-only (${reasonOf(error)})`,
      );
    }
  }

  /** Takes an export back, unless a machine may have it as its root. */
  #giveUp(path: string): void {
    const given = this.#exports.get(path);
    if (given === undefined) return;
    if (isAnyoneConnected(NVME_PORT)) {
      if (this.#waiting.has(path)) return;
      this.#waiting.add(path);
      this.#output.warn(
        `${printable(path)} is another file now: over NVMe it stays what it was until no machine is connected`,
      );
      return;
    }
    this.#target.removeSubsystem(given.image.nqn);
    this.#waiting.delete(path);
    this.#exports.delete(path);
  }

  /** @returns whether there is anything to be linked to the port */
  async #make(image: RawImage): Promise<boolean> {
    const twin = [...this.#exports.values()].find(
      (each) => each.image.state.identity === image.state.identity,
    );
    // Under two names it would be two disks, and one machine would not know of the other.
    const opened =
      this.mode === 'rw' && twin !== undefined
        ? `it is the same file as ${twin.image.path}`
        : openImage(this.#directory, image, this.mode);
    if (typeof opened === 'string') {
      this.#refused.set(image.path, opened);
      return false;
    }
    using open = opened;
    const { nqn, path } = image;
    const uuid = imageUuid(nqn, open.content);
    await this.#target.addSubsystem({ nqn, serial: exportSerial(nqn), uuid, file: open.file });
    this.#exports.set(path, { image, key: this.#key(image) });
    return true;
  }

  #keys(images: readonly RawImage[]): Map<string, string> {
    return new Map(images.map((image) => [image.path, this.#key(image)]));
  }

  /** What tells one file from the next. One that machines write to changes all the time. */
  #key({ state: { identity, size: length, modified } }: RawImage): string {
    return this.mode === 'rw' ? identity : `${identity}:${length}:${modified}`;
  }
}
