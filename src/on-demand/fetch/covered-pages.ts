import { PAGE_BYTES, type PresentPages } from '../cache/present-pages.ts';

/** Bytes of a page, from the first to behind the last, as they count in the image. */
type Interval = [from: number, to: number];

/** The bytes of an image that are there, of which the kernel sees whole pages. */
export interface CoveredPages {
  /** Bytes of the image that lie in whole pages that are there. */
  readonly bytes: number;
  /** These bytes are in the cache. A page becomes present when all of its bytes are, whoever has brought them. */
  cover(start: number, length: number): void;
  /** Whether all of these bytes were covered. */
  has(start: number, length: number): boolean;
}

/**
 * Blocks need not end where pages do: of a page that two of them share, what is there is kept until both are. There are as many such
 * pages as there are pieces of the image that were read apart from each other, at most.
 *
 * @param size bytes of the image
 */
export function createCoveredPages(present: PresentPages, size: number): CoveredPages {
  const shared = new Map<number, Interval[]>();
  let pages = 0;

  const pageEnd = (page: number) => Math.min((page + 1) * PAGE_BYTES, size);

  /** The pages that lie in a range whole: from the first of them up to the one behind. */
  const firstWhole = (start: number) => Math.ceil(start / PAGE_BYTES);
  const behindWhole = (end: number) =>
    end === size ? Math.ceil(end / PAGE_BYTES) : Math.floor(end / PAGE_BYTES);

  /** Whether a range has a part of the page before its whole ones, and of the one behind them: it may be all in one page, which is before. */
  const beginsInside = (start: number, end: number) => start < end && start < firstWhole(start) * PAGE_BYTES;
  const endsInside = (start: number, end: number) =>
    behindWhole(end) * PAGE_BYTES < end && behindWhole(end) >= firstWhole(start);

  function coverPart(page: number, start: number, end: number): void {
    if (present.has(page * PAGE_BYTES, 1)) return;
    let from = Math.max(start, page * PAGE_BYTES);
    let to = Math.min(end, pageEnd(page));
    const apart: Interval[] = [];
    for (const other of shared.get(page) ?? []) {
      if (other[1] < from || other[0] > to) apart.push(other);
      else [from, to] = [Math.min(from, other[0]), Math.max(to, other[1])];
    }
    if (from === page * PAGE_BYTES && to === pageEnd(page)) {
      shared.delete(page);
      pages += present.set(from, to - from);
    } else {
      shared.set(page, [...apart, [from, to]]);
    }
  }

  function hasPart(page: number, start: number, end: number): boolean {
    if (present.has(page * PAGE_BYTES, 1)) return true;
    const from = Math.max(start, page * PAGE_BYTES);
    const to = Math.min(end, pageEnd(page));
    return shared.get(page)?.some((interval) => interval[0] <= from && interval[1] >= to) === true;
  }

  return {
    get bytes() {
      const beyond = Math.ceil(size / PAGE_BYTES) * PAGE_BYTES - size;
      return pages * PAGE_BYTES - (beyond > 0 && present.has(size - 1, 1) ? beyond : 0);
    },
    cover(start, length) {
      const end = start + length;
      const first = firstWhole(start);
      const behind = behindWhole(end);
      if (behind > first) pages += present.set(first * PAGE_BYTES, (behind - first) * PAGE_BYTES);
      if (beginsInside(start, end)) coverPart(first - 1, start, end);
      if (endsInside(start, end)) coverPart(behind, start, end);
    },
    has(start, length) {
      const end = start + length;
      const first = firstWhole(start);
      const behind = behindWhole(end);
      if (behind > first && !present.has(first * PAGE_BYTES, (behind - first) * PAGE_BYTES)) return false;
      if (beginsInside(start, end) && !hasPart(first - 1, start, end)) return false;
      return !endsInside(start, end) || hasPart(behind, start, end);
    },
  };
}
