/** QEMU, docs/interop/qcow2.txt: "QFI" and 0xfb. */
const QCOW2_MAGIC = 0x514649fb;

/** Whether a file begins like a qcow2 image. */
export function isQcow2(start: Uint8Array): boolean {
  return (
    start.length >= 4 &&
    new DataView(start.buffer, start.byteOffset, start.byteLength).getUint32(0) === QCOW2_MAGIC
  );
}
