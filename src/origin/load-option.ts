import { devicePathUri } from './device-path.ts';

/** EFI_LOAD_OPTION: what a boot entry (`Boot####`) holds. UEFI specification 2.10, section 3.1.3. */
export interface LoadOption {
  /** LOAD_OPTION_ACTIVE and others. */
  readonly attributes: number;
  /** For people. */
  readonly title: string;
  /** Where the program is loaded from: a device path, perhaps several one behind the other. */
  readonly path: Uint8Array;
}

/** The firmware may try this entry by itself. */
export const LOAD_OPTION_ACTIVE = 1;

/** Attributes (4 bytes) and FilePathListLength (2), before the title. */
const HEADER = 6;

/** undefined when it is damaged. What the program is given besides (OptionalData) is not looked at. */
export function parseLoadOption(bytes: Uint8Array): LoadOption | undefined {
  if (bytes.length < HEADER) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pathLength = view.getUint16(4, true);

  // The title: UTF-16 up to and with a NUL.
  let offset = HEADER;
  do {
    if (offset + 2 > bytes.length) return undefined;
    offset += 2;
  } while (view.getUint16(offset - 2, true) !== 0);

  if (offset + pathLength > bytes.length) return undefined;
  return {
    attributes: view.getUint32(0, true),
    title: Buffer.from(bytes.buffer, bytes.byteOffset + HEADER, offset - 2 - HEADER).toString('utf16le'),
    path: bytes.subarray(offset, offset + pathLength),
  };
}

/**
 * The URI that a boot entry loads its program from; undefined when it loads it from somewhere else, when
 * the URI is left to DHCP (empty), or when the entry is damaged.
 */
export function loadOptionUri(bytes: Uint8Array): string | undefined {
  const option = parseLoadOption(bytes);
  return option === undefined ? undefined : devicePathUri(option.path);
}

/** The bytes of a boot entry, whose program is given nothing besides. */
export function encodeLoadOption({ attributes, title, path }: LoadOption): Buffer {
  const text = Buffer.from(`${title}\0`, 'utf16le');
  const header = new DataView(new ArrayBuffer(HEADER));
  header.setUint32(0, attributes, true);
  header.setUint16(4, path.length, true);
  return Buffer.concat([new Uint8Array(header.buffer), text, path]);
}
