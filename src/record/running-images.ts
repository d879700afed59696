import { readRecords } from './record-file.ts';

/** The images of a cache that this boot uses, by what {@link RecordedCache.id} says. Where nothing can be read, none. */
export function runningImages(): ReadonlySet<string> {
  try {
    const ids = readRecords().flatMap((read) => ('record' in read ? [read.record.cache?.id] : []));
    return new Set(ids.filter((id) => id !== undefined));
  } catch {
    return new Set();
  }
}
