/** Drops from the ICU package inside the runtime what only other locales than English need: 9 MB of 12. */
import { withoutPages } from './elf.ts';

/** The package of the ICU that was looked at: its version, and little-endian with ASCII names. */
const PACKAGE = 'icudt78l/';

/** struct DataHeader of a package (udata.h, ucmndata.h): its size, the magic number, struct UDataInfo with the format CmnD. */
const DATA_HEADER = Buffer.from('9000da271400000000000200436d6e44', 'hex');

/** Behind the last item lies the dictionary that the compressed ones were made with (RFC 8878, section 5). It stays. */
const ZSTD_DICTIONARY = Buffer.from('37a430ec', 'hex');

/** Every item begins at a multiple of it. */
const ITEM_ALIGNMENT = 16;

/** What every lookup begins or ends with, and what these share with others. */
const KEPT_BUNDLES = new Set(['root', 'en', 'en_US', 'en_US_POSIX', 'pool', 'res_index']);
/** `de`, `zh_Hant_TW`, `es__TRADITIONAL`; `zoneinfo64` and `plurals` are no locales. */
const LOCALE = /^[a-z]{2,3}(?:_\w*)?$/;

/** Whether an item is kept: nothing that belongs to a locale but English, and no dictionary of words of Asian languages. */
function isKept(name: string): boolean {
  const [, stem = '', suffix = ''] = /([^/]*)\.([^.]*)$/.exec(name) ?? [];
  if (suffix === 'dict') return false;
  return suffix !== 'res' || KEPT_BUNDLES.has(stem) || !LOCALE.test(stem);
}

interface Item {
  readonly name: string;
  readonly content: Buffer;
}

/**
 * The executable with a smaller package in the same place, and without the pages that it no longer needs. A locale that is gone is
 * answered like one that was never there: by the root locale.
 *
 * @param file an executable without section headers; changed
 * @throws Error when there is another ICU in it, which has to be looked at
 */
export function withoutLocales(file: Buffer): Buffer {
  const header = file.indexOf(DATA_HEADER);
  if (header < 0 || file.includes(DATA_HEADER, header + 1)) throw anotherIcu('not one package');
  const start = header + file.readUInt16LE(header);
  const { items, end } = readPackage(file, start);
  const kept = packageOf(items.filter(({ name }) => isKept(name)));
  kept.copy(file, start);
  file.fill(0, start + kept.length, end);
  return withoutPages(file, start + kept.length, end);
}

/** All items of the package whose table begins at `start`: a number, and for each the offsets of its name and its content. */
function readPackage(file: Buffer, start: number): { readonly items: readonly Item[]; readonly end: number } {
  const entries = Array.from({ length: file.readUInt32LE(start) }, (_, index) => {
    const name = start + file.readUInt32LE(start + 4 + 8 * index);
    return {
      name: file.toString('latin1', name, file.indexOf(0, name)),
      begin: start + file.readUInt32LE(start + 8 + 8 * index),
    };
  });
  const strange = entries.find(
    ({ name, begin }, index) => !name.startsWith(PACKAGE) || begin <= (entries[index - 1]?.begin ?? start),
  );
  if (strange !== undefined) throw anotherIcu(strange.name);
  const last = entries.at(-1)?.begin ?? start;
  const end = file.indexOf(ZSTD_DICTIONARY, last);
  // The last item is small, as all items of locales are.
  if (end < 0 || end - last > 4096) throw anotherIcu('no dictionary behind its items');
  const items = entries.map(({ name, begin }, index) => ({
    name,
    content: file.subarray(begin, entries[index + 1]?.begin ?? end),
  }));
  return { items, end };
}

/** A package of these items, in their order: they are looked up by bisection. */
function packageOf(items: readonly Item[]): Buffer {
  const contents = items.map(({ content }) => padded(content));
  const table = Buffer.alloc(4 + 8 * items.length);
  const names = items.map(({ name }) => Buffer.from(`${name}\0`, 'latin1'));
  const head = padded(Buffer.concat([table, ...names]));
  head.writeUInt32LE(items.length);
  let name = table.length;
  let position = head.length;
  contents.forEach((content, index) => {
    head.writeUInt32LE(name, 4 + 8 * index);
    head.writeUInt32LE(position, 8 + 8 * index);
    name += names[index]?.length ?? 0;
    position += content.length;
  });
  return Buffer.concat([head, ...contents]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes], Math.ceil(bytes.length / ITEM_ALIGNMENT) * ITEM_ALIGNMENT);
}

function anotherIcu(found: string): Error {
  return new Error(
    `the runtime (Bun ${Bun.version}) has another ICU than ${PACKAGE} as it was: ${found}. See what its package holds now`,
  );
}
