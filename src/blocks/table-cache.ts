import type { ReadRange } from './block-map.ts';

/** Bytes of tables that are kept: two of the largest that there are. */
const KEPT_BYTES = 4 * 1024 * 1024;

/** Tables of a file, read when they are wanted; those that were wanted last are kept. */
export function createTableCache(read: ReadRange): (offset: number, length: number) => Promise<DataView> {
  const tables = new Map<number, { readonly length: number; readonly view: Promise<DataView> }>();
  let kept = 0;
  /** Where the table lies that was wanted last. */
  let last: number | undefined;

  function forget(offset: number): void {
    kept -= tables.get(offset)?.length ?? 0;
    tables.delete(offset);
  }

  return (offset, length) => {
    const known = tables.get(offset);
    if (known?.length === length) {
      // The last of the map is the last that was wanted.
      if (offset !== last) {
        tables.delete(offset);
        tables.set(offset, known);
      }
      last = offset;
      return known.view;
    }
    forget(offset);
    const view = read(offset, length).then(
      (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
    );
    const table = { length, view };
    tables.set(offset, table);
    last = offset;
    kept += length;
    for (const oldest of tables.keys()) {
      if (kept <= KEPT_BYTES || oldest === offset) break;
      forget(oldest);
    }
    // What could not be read may be there the next time.
    view.catch(() => {
      if (tables.get(offset) === table) forget(offset);
    });
    return view;
  };
}
