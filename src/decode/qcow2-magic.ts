import { hasMagic } from '../source/magic-number.ts';
import { beginsLikeTarball } from './tar-block.ts';

/** QEMU, docs/interop/qcow2.txt: "QFI" and 0xfb. */
const QCOW2_MAGIC = 'QFI\xfb';

/** Whether a file begins like a qcow2 image, and not like a tarball whose first member is called so. */
export function isQcow2(start: Uint8Array): boolean {
  return hasMagic(start, QCOW2_MAGIC) && !beginsLikeTarball(start);
}
