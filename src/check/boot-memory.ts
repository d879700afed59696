import fs from 'node:fs';
import { size } from '../console/quantity.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { type ImageType, isTree } from '../request/image-class.ts';
import type { ExpectedSize } from '../transfer/expected-size.ts';
import { roomInMemory } from '../transfer/room/target-room.ts';
import type { Findings } from './finding.ts';

const MIB = 1024 * 1024;

/** What the kernel takes of the RAM for its list of pages: 64 bytes (struct page) of each 4 KiB. */
const PAGE_SHARE = 64 / 4096;
/**
 * And what else is taken when a pull begins, in bytes: the kernel itself and what it keeps free, systemd, the network, and
 * rdpull. Measured in a virtual machine of 1280 MiB, with Linux 7.2 and an initrd of dracut: 850 MiB were available.
 */
const KERNEL_BYTES = 220 * MIB;
/** What an initrd with rdpull is after decompression when nobody has looked, in bytes. */
const INITRD_BYTES = 192 * MIB;

/** The machine that is to boot. Bytes. */
export interface BootMemory {
  readonly ram: number;
  /** Whether that is the RAM of this machine. */
  readonly isOwn: boolean;
  /** Its initrd after decompression, which lies in RAM; undefined when it is not known. */
  readonly initrd: number | undefined;
  /** What the images take that are pulled beside it. */
  readonly others: number;
}

/** The RAM of this machine, in bytes (proc_meminfo(5)). */
export function ownMemory(): number {
  const [, kibibytes = '0'] = /^MemTotal: +(\d+) kB$/m.exec(fs.readFileSync('/proc/meminfo', 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}

/** Bytes that an image in /run may have in the initrd: an estimate, because nobody knows what else lies there. */
function roomAtBoot({ ram, initrd, others }: BootMemory, tree: boolean): number {
  const available = ram * (1 - PAGE_SHARE) - KERNEL_BYTES - (initrd ?? INITRD_BYTES) - others;
  return roomInMemory(Math.max(0, available), tree);
}

/** Whether an object that lies in RAM fits. */
export function checkMemory(
  findings: Findings,
  memory: BootMemory,
  expected: ExpectedSize,
  { type, overcommit }: { readonly type: ImageType; readonly overcommit: boolean },
): void {
  const room = roomAtBoot(memory, isTree(type));
  const whose = memory.isOwn ? 'the RAM of this machine' : 'RAM';
  const takers = memory.others === 0 ? 'the initrd' : 'the initrd, the other images';
  const rest = `${size(memory.ram)}, of which the kernel, ${takers} and the system leave about ${size(room)}`;
  const { uncompressed, occupied: amount } = expected;
  const elsewhere = memory.isOwn ? '; if another machine is to boot, say how much it has: --ram=SIZE' : '';
  if (amount > room) {
    const least = uncompressed === 0 ? ' or more' : '';
    const text = `the image takes ${size(amount)}${least} in ${whose} (${rest}): ${size(amount - room)} too much`;
    if (overcommit) findings.warn('memory', `${text}; overcommit begins all the same`);
    else {
      findings.fail(
        'memory',
        new RdpullError('no-room', text, `give the machine more RAM, or make the image smaller${elsewhere}`),
      );
    }
  } else if (uncompressed === 0) {
    findings.warn(
      'memory',
      `how large the image is after decompression is known only then; ${whose} is ${rest}`,
      type === 'oci' ? undefined : 'compress it with xz or zstd, which say so',
    );
  } else {
    findings.ok('memory', `the image takes ${size(amount)} in ${whose} (${rest})`);
  }
}
