import fs from 'node:fs';
import os from 'node:os';
import { RdpullError, reasonOf } from '../../console/rdpull-error.ts';
import { notRoot } from '../../expose/loop-control.ts';
import { lockFile, lockHolder, tryLockFile } from '../../kernel/file-lock.ts';
import { loadKernelModule } from '../../kernel/kernel-module.ts';
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, mount } from '../../kernel/mount.ts';
import { isSystemError } from '../../kernel/system-error.ts';
import { setAttribute } from './attribute.ts';
import { NQN_PREFIX } from './export-name.ts';
import { startHeir } from './heir.ts';
import { type ExportedFile, enableNamespace } from './namespace-device.ts';

/** Where configfs is mounted, and what the kernel's NVMe target has there: drivers/nvme/target/configfs.c of Linux. */
const CONFIGFS = '/sys/kernel/config';
const NVMET = `${CONFIGFS}/nvmet`;

/** What the target, its transport and the images need, and the first may be built in. */
const MODULES = ['configfs', 'nvmet', 'nvmet-tcp', 'loop'];

/**
 * Says of a port that rdpull has made it. Ports have numbers and no names; a referral (another server that a discovery names) has
 * one, and nobody is told of it as long as it is not enabled.
 */
const MARK = 'rdpull';

/** Others who export count their ports from 0, or use the TCP port. */
const FIRST_PORT = 28_800;

/** An rdpull that ends has taken everything back after this time, in ms. */
const PATIENCE = 3000;

/** How often it is looked whether an rdpull has ended, in ms. */
const HEIR_INTERVAL = 500;

/** Of one namespace in each subsystem: what has no namespace in its URL means this one. */
export const NSID = 1;

/** The highest number that a controller may have: NVME_CNTLID_MAX of include/linux/nvme.h. */
const CONTROLLER_MAX = 0xffef;

/** An address that the target listens on. */
export interface Portal {
  /** IPv4 or IPv6; `::` and `0.0.0.0` for all. */
  readonly address: string;
  readonly port: number;
}

/** What a subsystem is made of. */
export interface Subsystem {
  readonly nqn: string;
  readonly serial: string;
  /** Of its namespace. */
  readonly uuid: string;
  readonly file: ExportedFile;
}

/**
 * The NVMe target of the kernel, as far as it is rdpull's. What others have made there is not touched. The kernel exports without
 * rdpull, so that what a killed one has left is still there: it is known by its names. Its heir ({@link takeBackAfter}) takes that back, or
 * the next one that begins.
 */
export class KernelTarget implements Disposable {
  readonly #lock: number;
  readonly #warn: (text: string) => void;
  /** Also where the process ends without disposing of anything. */
  readonly #atExit = () => takeBack(() => undefined);
  readonly #heir = startHeir();
  #writable = 0;

  private constructor(lock: number, warn: (text: string) => void) {
    this.#lock = lock;
    this.#warn = warn;
    process.on('exit', this.#atExit);
  }

  /**
   * Loads the modules that are not there, keeps every other rdpull away, and clears what one has left that was killed.
   *
   * @throws RdpullError not-root, nvme-target-missing, target-busy
   */
  static async open(warn: (text: string) => void): Promise<KernelTarget> {
    if (process.getuid?.() !== 0) throw notRoot('exporting over NVMe', undefined);
    provideTarget();
    const lock = openLock();
    try {
      if (!(await lockFile(lock, PATIENCE))) throw exportedAlready(lock);
      takeBack(warn);
      return new KernelTarget(lock, warn);
    } catch (error) {
      fs.closeSync(lock);
      throw error;
    }
  }

  /**
   * Makes a subsystem that nobody can reach yet, with all that it needs: one whose port is open before is refused for good by hosts
   * that come again.
   *
   * @throws RdpullError nvme-target-failed, loop-missing, loop-failed; then there is nothing of it
   */
  async addSubsystem({ nqn, serial, uuid, file }: Subsystem): Promise<void> {
    const directory = subsystemPath(nqn);
    try {
      fs.mkdirSync(directory);
      setAttribute(directory, 'attr_allow_any_host', '1');
      setAttribute(directory, 'attr_serial', serial);
      setAttribute(directory, 'attr_model', 'rdpull');
      if (file.isWritable) this.#allowOneController(directory);
      const namespace = `${directory}/namespaces/${NSID}`;
      fs.mkdirSync(namespace);
      setAttribute(namespace, 'device_uuid', uuid);
      await enableNamespace(namespace, file);
    } catch (error) {
      if (!isSystemError(error, 'EEXIST')) removeSubsystem(nqn);
      throw targetFailed(`${nqn} could not be made`, error);
    }
  }

  /** @throws RdpullError nvme-target-failed */
  removeSubsystem(nqn: string): void {
    try {
      for (const port of markedPorts()) removeFile(`${port}/subsystems/${nqn}`);
      removeSubsystem(nqn);
    } catch (error) {
      throw targetFailed(`${nqn} could not be taken back`, error);
    }
  }

  /**
   * Makes a port. It listens as soon as a subsystem is linked to it, and as long as one is.
   *
   * @returns its directory
   * @throws RdpullError nvme-target-failed
   */
  addPort({ address, port }: Portal): string {
    try {
      const directory = makePort();
      fs.mkdirSync(`${directory}/referrals/${MARK}`);
      setAttribute(directory, 'addr_trtype', 'tcp');
      setAttribute(directory, 'addr_adrfam', address.includes(':') ? 'ipv6' : 'ipv4');
      setAttribute(directory, 'addr_traddr', address);
      setAttribute(directory, 'addr_trsvcid', String(port));
      return directory;
    } catch (error) {
      throw targetFailed(`port ${port} could not be made`, error);
    }
  }

  /**
   * Lets hosts reach a subsystem by a port.
   *
   * @throws RdpullError target-busy when somebody else listens there; nvme-target-failed
   */
  link(nqn: string, directory: string, { address, port }: Portal): void {
    try {
      fs.symlinkSync(subsystemPath(nqn), `${directory}/subsystems/${nqn}`);
    } catch (error) {
      if (!isSystemError(error, 'EADDRINUSE', 'EADDRNOTAVAIL')) {
        throw targetFailed(`port ${port} of ${address} could not be opened`, error);
      }
      throw new RdpullError(
        'target-busy',
        `the kernel cannot listen on port ${port} of ${address} for NVMe: somebody else does, or it is no address of this machine`,
        `ss -ltnp 'sport = :${port}' shows a program; ls ${NVMET}/ports shows another target, such as systemd-storagetm; end it, or choose another address with --address=`,
        { cause: error },
      );
    }
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#atExit);
    takeBack(this.#warn);
    fs.closeSync(this.#lock);
    this.#heir[Symbol.dispose]();
  }

  /**
   * Two machines that write to one file system destroy it. There are as many controllers at a time as there are numbers for them, and the
   * kernel gives none of them twice, whatever subsystem they are of.
   */
  #allowOneController(subsystem: string): void {
    const number = String(CONTROLLER_MAX - this.#writable++);
    setAttribute(subsystem, 'attr_cntlid_max', number);
    try {
      setAttribute(subsystem, 'attr_cntlid_min', number);
    } catch (error) {
      // Linux 6.1 wants the lowest number to be lower than the highest, and so to let two in.
      throw isSystemError(error, 'EINVAL') ? cannotAllowOne(error) : error;
    }
  }
}

/**
 * Waits until no rdpull exports, and takes back what the last one has left, if it was killed.
 *
 * @returns whether there was anything
 * @throws the reason of `signal`; SystemCallError
 */
export async function takeBackAfter(signal: AbortSignal, warn: (text: string) => void): Promise<boolean> {
  if (!fs.existsSync(NVMET)) return false;
  const lock = openLock();
  try {
    while (!tryLockFile(lock)) {
      await Bun.sleep(HEIR_INTERVAL);
      signal.throwIfAborted();
    }
    const isLeft = markedPorts().length > 0 || ownSubsystems().length > 0;
    takeBack(warn);
    return isLeft;
  } finally {
    fs.closeSync(lock);
  }
}

/** What an rdpull that exports has locked. */
function openLock(): number {
  return fs.openSync(NVMET, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
}

/** @throws RdpullError nvme-target-missing */
function provideTarget(): void {
  try {
    for (const module of MODULES) loadKernelModule(module);
    if (!fs.existsSync(NVMET) && fs.existsSync(CONFIGFS)) {
      const flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
      mount({ source: 'configfs', target: CONFIGFS, type: 'configfs', flags });
    }
  } catch (error) {
    throw targetMissing(reasonOf(error), error);
  }
  if (!fs.existsSync(NVMET)) throw targetMissing(`${NVMET} is not there`, undefined);
}

/** Takes back all that a rdpull has made, this one or one that was killed. Hosts that are connected lose it, and wait. */
function takeBack(warn: (text: string) => void): void {
  const attempt = (what: string, work: () => void) => {
    try {
      work();
    } catch (error) {
      warn(`${what} stays in the kernel's NVMe target: ${reasonOf(error)}`);
    }
  };
  for (const port of markedPorts()) attempt(port, () => removePort(port));
  for (const nqn of ownSubsystems()) attempt(nqn, () => removeSubsystem(nqn));
}

function ownSubsystems(): string[] {
  return list(`${NVMET}/subsystems`).filter((nqn) => nqn.startsWith(NQN_PREFIX));
}

const subsystemPath = (nqn: string) => `${NVMET}/subsystems/${nqn}`;

function markedPorts(): string[] {
  return list(`${NVMET}/ports`)
    .map((number) => `${NVMET}/ports/${number}`)
    .filter((port) => fs.existsSync(`${port}/referrals/${MARK}`));
}

function makePort(): string {
  for (let number = FIRST_PORT; ; number++) {
    const directory = `${NVMET}/ports/${number}`;
    try {
      fs.mkdirSync(directory);
      return directory;
    } catch (error) {
      if (!isSystemError(error, 'EEXIST')) throw error;
    }
  }
}

function removePort(directory: string): void {
  for (const nqn of list(`${directory}/subsystems`)) removeFile(`${directory}/subsystems/${nqn}`);
  fs.rmdirSync(`${directory}/referrals/${MARK}`);
  fs.rmdirSync(directory);
}

/** The loop device goes with the namespace, which was the last to have it open. */
function removeSubsystem(nqn: string): void {
  const directory = subsystemPath(nqn);
  for (const number of list(`${directory}/namespaces`)) {
    const namespace = `${directory}/namespaces/${number}`;
    setAttribute(namespace, 'enable', '0');
    fs.rmdirSync(namespace);
  }
  if (fs.existsSync(directory)) fs.rmdirSync(directory);
}

function removeFile(file: string): void {
  try {
    fs.unlinkSync(file);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
}

function list(directory: string): string[] {
  try {
    return fs.readdirSync(directory);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  }
}

function exportedAlready(lock: number): RdpullError {
  const holder = lockHolder(lock);
  return new RdpullError(
    'target-busy',
    `another rdpull${holder === undefined ? '' : `, process ${holder},`} exports over NVMe on this machine already`,
    'end it first; or serve both directories as one, from the directory above',
  );
}

function targetMissing(why: string, cause: unknown): RdpullError {
  return new RdpullError(
    'nvme-target-missing',
    `this kernel cannot export over NVMe: ${why}`,
    'load its modules with "modprobe -a nvmet nvmet-tcp loop"; where they are missing, install the kernel of the distribution (a container has that of its host)',
    { cause },
  );
}

function cannotAllowOne(cause: unknown): RdpullError {
  return new RdpullError(
    'nvme-target-failed',
    `Linux ${os.release()} cannot keep a second machine from a disk that one machine writes to: they would destroy its file system`,
    'export read-only, with --nvme, and let machines write to an overlay (overlay=); or take a newer kernel: Linux 6.12 can',
    { cause },
  );
}

function targetFailed(what: string, error: unknown): RdpullError {
  if (error instanceof RdpullError) return error;
  return new RdpullError(
    'nvme-target-failed',
    `${what} in the kernel's NVMe target: ${reasonOf(error)}`,
    'look into the kernel log with "dmesg"',
    { cause: error },
  );
}
