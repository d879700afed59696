/**
 * The little of the UEFI specification 2.10 that is needed to find the URL in a boot entry: EFI_LOAD_OPTION
 * (section 3.1.3) and the nodes of a device path (section 10.3).
 */

/** Attributes (4 bytes) and FilePathListLength (2), before the description. */
const LOAD_OPTION_HEADER = 6;

/** Type (1 byte), SubType (1), Length (2, which counts these four). */
const NODE_HEADER = 4;

const MESSAGING_DEVICE_PATH = 0x03;
const MSG_URI_DP = 0x18;

const END_DEVICE_PATH_TYPE = 0x7f;
const END_ENTIRE_DEVICE_PATH_SUBTYPE = 0xff;

/**
 * The URI that a boot entry (`Boot####`) loads its program from; undefined when it loads it from somewhere else, when
 * the URI is left to DHCP (empty), or when the entry is damaged.
 */
export function loadOptionUri(loadOption: Uint8Array): string | undefined {
  if (loadOption.length < LOAD_OPTION_HEADER) return undefined;
  const view = new DataView(loadOption.buffer, loadOption.byteOffset, loadOption.byteLength);
  const pathLength = view.getUint16(4, true);

  // The description: UTF-16 up to and with a NUL.
  let offset = LOAD_OPTION_HEADER;
  do {
    if (offset + 2 > loadOption.length) return undefined;
    offset += 2;
  } while (view.getUint16(offset - 2, true) !== 0);

  if (offset + pathLength > loadOption.length) return undefined;
  return devicePathUri(loadOption.subarray(offset, offset + pathLength));
}

/** The first URI in a device path that is not empty. What follows the path's end is not looked at. */
export function devicePathUri(path: Uint8Array): string | undefined {
  const view = new DataView(path.buffer, path.byteOffset, path.byteLength);
  let offset = 0;
  while (offset + NODE_HEADER <= path.length) {
    const type = view.getUint8(offset);
    const subType = view.getUint8(offset + 1);
    const length = view.getUint16(offset + 2, true);
    if (length < NODE_HEADER || offset + length > path.length) return undefined;
    if (type === END_DEVICE_PATH_TYPE && subType === END_ENTIRE_DEVICE_PATH_SUBTYPE) return undefined;
    if (type === MESSAGING_DEVICE_PATH && subType === MSG_URI_DP) {
      const uri = new TextDecoder().decode(path.subarray(offset + NODE_HEADER, offset + length));
      const end = uri.indexOf('\0');
      const text = end < 0 ? uri : uri.slice(0, end);
      if (text !== '') return text;
    }
    offset += length;
  }
  return undefined;
}
