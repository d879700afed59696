import { ptr } from 'bun:ffi';
import fs from 'node:fs';
import { constants } from 'node:os';
import { checked, cString, errno, libc } from './libc.ts';
import { SharedMapping } from './shared-mapping.ts';
import { SystemCallError } from './system-error.ts';

/** asm-generic/unistd.h: since Linux 5.2 the same numbers on every architecture. */
const SYS_fsopen = 430n;
const SYS_fsconfig = 431n;
const SYS_fsmount = 432n;

/** include/uapi/linux/mount.h */
const FSOPEN_CLOEXEC = 1;
const FSCONFIG_SET_FLAG = 0;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
const FSMOUNT_CLOEXEC = 1;
const MOUNT_ATTR_RDONLY = 0x01;
const MOUNT_ATTR_NOSUID = 0x02;
const MOUNT_ATTR_NODEV = 0x04;
const MOUNT_ATTR_NOEXEC = 0x08;

/** asm-generic/poll.h */
const POLLIN = 0x0001;

/** The same system call, once for each combination of arguments. */
const { syscall: fsopen } = libc({ syscall: { args: ['i64', 'ptr', 'u32'], returns: 'i64' } });
const { syscall: fsconfig } = libc({
  syscall: { args: ['i64', 'i32', 'u32', 'ptr', 'ptr', 'i32'], returns: 'i64' },
});
const { syscall: fsmount } = libc({ syscall: { args: ['i64', 'i32', 'u32', 'u32'], returns: 'i64' } });

/** makedev(MISC_MAJOR, FUSE_MINOR): include/uapi/linux/major.h and include/linux/miscdevice.h. */
const FUSE_DEVICE = (10 << 8) | 229;

/**
 * /dev/fuse: what requests of a FUSE file system are read from, and answers written to. Reading does not wait:
 * {@link FuseRequests} does.
 *
 * @throws Error ENOENT, ENODEV, ENXIO where the kernel has none, or something else is in its place
 */
export function openFuseDevice(): number {
  const fd = fs.openSync('/dev/fuse', fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  const stat = fs.fstatSync(fd);
  if (stat.isCharacterDevice() && stat.rdev === FUSE_DEVICE) return fd;
  fs.closeSync(fd);
  throw new SystemCallError('open(/dev/fuse)', constants.errno.ENXIO);
}

/**
 * Makes a FUSE file system whose requests come from `device`, read-only, and a mount of it that is nowhere: its files are reached
 * through the descriptor that is returned, and nobody has to unmount anything, whatever happens.
 *
 * @param source what it is called where mounts are listed
 * @param maxRead bytes of one read at most
 * @throws SystemCallError `ENODEV` where the kernel has no FUSE, `EPERM`
 */
export function fuseMount(device: number, source: string, maxRead: number): number {
  const context = checked('fsopen', fsopen(SYS_fsopen, cString('fuse'), FSOPEN_CLOEXEC));
  try {
    const set = (key: string, value: string) => {
      const [keyText, valueText] = [cString(key), cString(value)];
      checked('fsconfig', fsconfig(SYS_fsconfig, context, FSCONFIG_SET_STRING, keyText, valueText, 0));
    };
    set('source', source);
    // Documentation/filesystems/fuse/fuse.rst; rootmode is S_IFDIR, in octal.
    set('fd', String(device));
    set('rootmode', '40000');
    set('user_id', '0');
    set('group_id', '0');
    set('max_read', String(maxRead));
    checked('fsconfig', fsconfig(SYS_fsconfig, context, FSCONFIG_SET_FLAG, cString('ro'), null, 0));
    checked('fsconfig', fsconfig(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, null, null, 0));
    const attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    return checked('fsmount', fsmount(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes));
  } finally {
    fs.closeSync(context);
  }
}

const c = libc({
  read: { args: ['i32', 'u64', 'u64'], returns: 'i64' },
  write: { args: ['i32', 'u64', 'u64'], returns: 'i64' },
  writev: { args: ['i32', 'u64', 'i32'], returns: 'i64' },
  pread: { args: ['i32', 'u64', 'u64', 'i64'], returns: 'i64' },
  mincore: { args: ['u64', 'u64', 'u64'], returns: 'i32' },
  poll: { args: ['u64', 'u64', 'i32'], returns: 'i32' },
});

const { EAGAIN, EINTR, EIO, ENODEV, ENOENT } = constants.errno;

/** Where one thread gets the requests of a FUSE file system from. */
export class FuseRequests {
  /** Where {@link receive} puts a message: overwritten by the next one. */
  readonly message: Buffer;
  readonly #device: number;
  readonly #messageAddress: number;
  readonly #polled: Uint8Array;
  readonly #polledAddress: number;

  /**
   * @param device of {@link openFuseDevice}
   * @param stop once it can be read from, there is nothing more to receive
   * @param maxMessage bytes of the largest message, as negotiated
   */
  constructor(device: number, stop: number, maxMessage: number) {
    this.#device = device;
    this.message = Buffer.from(new ArrayBuffer(maxMessage));
    this.#messageAddress = ptr(this.message);
    // struct pollfd[2]: fd, events, revents
    this.#polled = new Uint8Array(new ArrayBuffer(16));
    this.#polledAddress = ptr(this.#polled);
    const polled = new DataView(this.#polled.buffer);
    for (const [index, fd] of [device, stop].entries()) {
      polled.setInt32(index * 8, fd, true);
      polled.setInt16(index * 8 + 4, POLLIN, true);
    }
  }

  /**
   * Waits for the next message.
   *
   * @returns its length; undefined when there will be none: the file system is no more, or was told to stop
   * @throws SystemCallError
   */
  receive(): number | undefined {
    for (;;) {
      const length = Number(c.read(this.#device, this.#messageAddress, this.message.length));
      if (length >= 0) return length;
      const error = errno();
      if (error === EAGAIN) {
        if (!this.#wait()) return undefined;
      } else if (error === ENODEV) return undefined;
      // ENOENT: whoever asked has given up meanwhile.
      else if (error !== EINTR && error !== ENOENT) throw new SystemCallError('read(/dev/fuse)', error);
    }
  }

  /** @returns false when it is time to stop */
  #wait(): boolean {
    for (;;) {
      if (c.poll(this.#polledAddress, 2, -1) >= 0) return this.#polled[14] === 0;
      const error = errno();
      if (error !== EINTR) throw new SystemCallError('poll(/dev/fuse)', error);
    }
  }
}

const PAGE_BYTES = 4096;

/** What is shorter is copied once more, which costs less than to find out whether that has to be. */
const MAPPED_BYTES = 64 * 1024;

/** The file whose parts are sent. */
export interface AnsweredFile {
  readonly fd: number;
  /** Bytes. */
  readonly size: number;
}

/** Where one thread puts its answers to requests, whoever got those. */
export class FuseAnswers implements Disposable {
  readonly #device: number;
  readonly #file: AnsweredFile;
  readonly #mapping: SharedMapping;
  readonly #answer: Buffer;
  readonly #address: number;
  /** Where the bytes of a file are put, on whole pages; the header goes before them. */
  readonly #body: number;
  /** struct iovec[2]: the header, and what of the file is sent from where it lies. */
  readonly #vector: BigUint64Array;
  readonly #vectorAddress: number;
  /** Of mincore(2): a byte for each page. */
  readonly #resident: Buffer;
  readonly #residentAddress: number;

  /**
   * @param device of {@link openFuseDevice}
   * @param maxPart bytes of the largest part of the file
   */
  constructor(device: number, file: AnsweredFile, maxPart: number) {
    this.#device = device;
    this.#file = file;
    this.#mapping = SharedMapping.open(file.fd, file.size, 'read');
    this.#answer = Buffer.from(new ArrayBuffer(2 * PAGE_BYTES + maxPart));
    this.#address = ptr(this.#answer);
    this.#body = 2 * PAGE_BYTES - (this.#address % PAGE_BYTES);
    this.#vector = new BigUint64Array(new ArrayBuffer(32));
    this.#vectorAddress = ptr(this.#vector);
    this.#resident = Buffer.from(new ArrayBuffer(maxPart / PAGE_BYTES + 1));
    this.#residentAddress = ptr(this.#resident);
  }

  /** Sends a whole answer: a header, and what belongs to it. @throws SystemCallError */
  send(answer: Uint8Array): void {
    if (answer.length > PAGE_BYTES) throw new RangeError(`an answer of ${answer.length} bytes`);
    this.#answer.set(answer);
    this.#write(0, answer.length);
  }

  /**
   * Sends an answer whose body is a part of the file.
   *
   * @param header of the answer: at most a page
   * @throws SystemCallError `EIO` when the file ends before that, and what pread(2) has; nothing was sent then
   */
  sendPart(header: Uint8Array, offset: number, length: number): void {
    if (this.#body + length > this.#answer.length) throw new RangeError(`a part of ${length} bytes`);
    const start = this.#body - header.length;
    this.#answer.set(header, start);
    // Through the mapping, to look at a hole of a tmpfs is to fill it, and its RAM is gone.
    if (length >= MAPPED_BYTES && this.#isResident(offset, length)) {
      this.#vector.set([
        BigInt(this.#address + start),
        BigInt(header.length),
        BigInt(this.#mapping.addressOf(offset, length)),
        BigInt(length),
      ]);
      this.#send(() => c.writev(this.#device, this.#vectorAddress, 2));
    } else {
      this.#readPart(offset, length);
      this.#write(start, header.length + length);
    }
  }

  /** Whether a part lies in memory: no hole does. What was swapped out may count as not. */
  #isResident(offset: number, length: number): boolean {
    const start = offset - (offset % PAGE_BYTES);
    const bytes = offset + length - start;
    const address = this.#mapping.addressOf(start, bytes);
    if (c.mincore(address, bytes, this.#residentAddress) < 0) return false;
    return !this.#resident.subarray(0, Math.ceil(bytes / PAGE_BYTES)).includes(0);
  }

  #readPart(offset: number, length: number): void {
    const address = this.#address + this.#body;
    for (let done = 0; done < length; ) {
      const count = Number(c.pread(this.#file.fd, address + done, length - done, offset + done));
      if (count > 0) done += count;
      else if (count === 0) throw new SystemCallError('pread', EIO);
      else {
        const error = errno();
        if (error !== EINTR) throw new SystemCallError('pread', error);
      }
    }
  }

  #write(at: number, length: number): void {
    this.#send(() => c.write(this.#device, this.#address + at, length));
  }

  #send(write: () => number | bigint): void {
    for (;;) {
      if (write() >= 0) return;
      const error = errno();
      // Nobody waits for it any more; or the file system is gone, which is told to who receives.
      if (error === ENOENT || error === ENODEV) return;
      if (error !== EINTR) throw new SystemCallError('write(/dev/fuse)', error);
    }
  }

  [Symbol.dispose](): void {
    this.#mapping[Symbol.dispose]();
  }
}
