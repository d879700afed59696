import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** The bytes that firmware and boot loaders leave behind, written by hand. */

export const LOADER = '4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';
export const GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c';

/** A directory in place of efivarfs, which goes away at the end of the block. */
export class FakeEfivars extends TemporaryDirectory {
  get directory(): string {
    return this.path;
  }

  /** Writes a variable as efivarfs shows it: attributes (boot service and runtime access), then the payload. */
  set(name: string, payload: Uint8Array): void {
    this.setRaw(name, bytes([0x06, 0, 0, 0], payload));
  }

  setRaw(name: string, content: Uint8Array): void {
    this.write(name, content);
  }
}

export function bytes(...parts: (ArrayLike<number> | string)[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) => (typeof part === 'string' ? [...Buffer.from(part)] : Array.from(part))),
  );
}

/** UTF-16LE with a final NUL, as boot loaders write strings. */
export function efiString(text: string): Uint8Array {
  return Buffer.from(`${text}\0`, 'utf16le');
}

/** A device path node: type, subtype, the length of it all, data. */
export function node(type: number, subType: number, data: ArrayLike<number> | string = []): Uint8Array {
  const content = bytes(data);
  const length = content.length + 4;
  return bytes([type, subType, length & 0xff, length >> 8], content);
}

/** What stands before the URI in the path of a UEFI HTTP boot. */
export const NETWORK = bytes(
  node(0x02, 0x01, [0xd0, 0x41, 0x03, 0x0a, 0, 0, 0, 0]), // ACPI PciRoot(0x0)
  node(0x01, 0x01, [0x00, 0x03]), // Pci(0x3,0x0)
  node(0x03, 0x0b, new Uint8Array(33)), // MAC
  node(0x03, 0x0c, new Uint8Array(23)), // IPv4
);

export const uri = (url: string) => node(0x03, 0x18, url);
export const END_INSTANCE = node(0x7f, 0x01);
export const END = node(0x7f, 0xff);

/** A boot entry: active, the path's length, description, path, optional data. */
export function loadOption(
  description: string,
  path: Uint8Array,
  optional: Uint8Array = bytes(),
): Uint8Array {
  return bytes([1, 0, 0, 0, path.length & 0xff, path.length >> 8], efiString(description), path, optional);
}
