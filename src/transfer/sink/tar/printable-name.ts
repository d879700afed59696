import { quoted } from '../../../console/printable.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A file name out of an archive, in quotes and fit for a terminal; bytes that are not UTF-8 become `\xNN`. */
export function printableName(name: Uint8Array): string {
  try {
    return quoted(utf8.decode(name));
  } catch {
    const text = Buffer.from(name).toString('latin1');
    return quoted(text.replace(/[\x80-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`));
  }
}
