import { RdpullError } from '../console/rdpull-error.ts';
import { linkDevice, rootDevice } from '../expose/root-partition.ts';
import { attachOnDemand, type OnDemandDevice } from './device/on-demand-device.ts';
import { dirtyJournals, type ReadImage } from './dirty-journal.ts';
import type { BlockFetcher } from './fetch/block-fetcher.ts';
import type { FuseFile } from './fuse/fuse-file.ts';
import type { OnDemandObserver } from './on-demand-observer.ts';
import type { ShownImage } from './shown-image.ts';
import { addSysrootOption } from './sysroot-options.ts';

/** The device while it hangs on this process. Disposing of it detaches it, unless it is done, or somebody has it mounted. */
export class Attachment implements AsyncDisposable {
  readonly device: OnDemandDevice;
  readonly root: string | undefined;
  readonly #observer: OnDemandObserver;
  /** It is to stay. */
  isDone = false;
  #hasBeenMounted = false;

  private constructor(device: OnDemandDevice, root: string | undefined, observer: OnDemandObserver) {
    this.device = device;
    this.root = root;
    this.#observer = observer;
  }

  static async make(
    file: FuseFile,
    { pull, cache, observer }: ShownImage,
    want: BlockFetcher['want'],
  ): Promise<Attachment> {
    const { rootLink } = pull;
    const { warn } = observer;
    const device = await attachOnDemand(file, cache, { want, warn });
    try {
      const root = rootLink === undefined ? undefined : rootDevice(device);
      if (rootLink !== undefined && root !== undefined) linkDevice(rootLink, root);
      return new Attachment(device, root, observer);
    } catch (error) {
      await device.detach();
      throw error;
    }
  }

  /** Looking costs as much as there are processes: once it is mounted, that is enough. */
  hasBeenMounted(): boolean {
    this.#hasBeenMounted ||= this.device.isMounted();
    return this.#hasBeenMounted;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isDone) return;
    try {
      await this.device.detach();
    } catch (error) {
      // What has happened before is the news.
      this.#observer.warn(RdpullError.from(error).message);
    }
  }
}

/** What cannot be written to is mounted without a look at its journal. */
export async function makeMountable(
  device: OnDemandDevice,
  root: string | undefined,
  { pull, cache, observer }: ShownImage,
  read: ReadImage,
): Promise<void> {
  for (const dirty of await dirtyJournals(device, cache.size, read)) {
    const isSysroot = dirty === root && pull.inInitrd && pull.unit !== undefined;
    observer.warn(
      `${dirty} holds an ext4 that was not unmounted: what its journal holds is not seen; ${isSysroot ? 'it is mounted' : 'mount it'} with -o ro,noload`,
    );
    if (isSysroot) await addSysrootOption('noload', observer.warn);
  }
}

/** Asked at each signal: whoever has the image mounted would be left with errors. */
export function mayEnd(
  received: string,
  device: OnDemandDevice,
  { survivor, observer }: ShownImage,
): boolean {
  survivor?.follow();
  const use = device.use();
  if (use.kind === 'none') return true;
  observer.goesOn(
    `${received}: ${use.what}, and this process goes on until that ends, or all of the image is there`,
  );
  return false;
}
