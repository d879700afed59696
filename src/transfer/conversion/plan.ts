import type { RangedFile } from '../../blocks/block-map.ts';
import { qcow2Clusters } from '../../blocks/qcow2-clusters.ts';
import type { Qcow2Header } from '../../blocks/qcow2-header.ts';
import { createRelease, isBehind } from './release.ts';

/** What the conversion of a qcow2 image takes. Bytes. */
export interface ConversionPlan {
  /** Of the raw image, with its holes. */
  readonly size: number;
  /** Of the raw image, without its holes: what is written at most. */
  readonly data: number;
  /**
   * What is needed at once beside the qcow2 image, when that shrinks while the raw one grows; undefined when it must not,
   * because its clusters do not lie in the order of the image.
   */
  readonly growth: number | undefined;
}

/** Tables that are kept in mind: images have one or two at a time, but where all of them lie at the end. */
const MOST_AHEAD = 1024;

interface Part {
  readonly offset: number;
  readonly length: number;
}

function overlap(one: Part, other: Part): boolean {
  return one.offset < other.offset + other.length && other.offset < one.offset + one.length;
}

/**
 * Goes through the tables of a qcow2 image, and reads nothing else of it.
 *
 * @param goOn asked before each step; false ends it, and what is told then is only a part
 * @throws RdpullError stream-corrupt; what `file.read` rejects with
 */
export async function planFor(
  header: Qcow2Header,
  file: RangedFile,
  goOn: () => boolean,
): Promise<ConversionPlan> {
  let isInOrder = true;
  /** Where data was read: between these. */
  let first = file.size;
  let end = 0;
  /** Tables that lie behind it. */
  let ahead: Part[] = [];
  const map = qcow2Clusters(header, {
    size: file.size,
    read(offset, length) {
      // A table must not lie where data was, and was given back, or will be: it may be read again.
      if (offset + length > first && offset < end) isInOrder = false;
      if (offset >= end && ahead.push({ offset, length }) > MOST_AHEAD) isInOrder = false;
      return file.read(offset, length);
    },
  });
  let data = 0;
  let released = 0;
  let growth = 0;
  const release = createRelease((_, length) => {
    released += length;
  });
  for (let at = 0; at < header.size && goOn(); ) {
    const { start, length, content } = await map.at(at);
    at = start + length;
    if (content.kind === 'zeros') continue;
    data += length;
    growth = Math.max(growth, data - released);
    if (!isBehind(content.offset, end)) isInOrder = false;
    if (ahead.some((table) => overlap(table, content))) isInOrder = false;
    first = Math.min(first, content.offset);
    end = Math.max(end, content.offset + content.length);
    if (isInOrder) ahead = ahead.filter(({ offset }) => offset >= end);
    else ahead = [];
    release.read(content.offset, content.length);
  }
  return { size: header.size, data, growth: isInOrder ? growth : undefined };
}
