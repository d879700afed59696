import type { Location, RangeRequest, Source } from './source.ts';

/** A file of which something is here. */
export interface KnownFile {
  readonly location: Location;
  /** What the server said of it. */
  readonly source: Pick<Source, 'size' | 'lastModified' | 'validator' | 'entityTag' | 'opaqueTag'>;
}

/**
 * What is reason enough to join the bytes of two answers.
 *
 * `compared`: only of one server, where a strong validator says that they are of one file. `validated`: of two servers, too.
 * `alike`: of one server also where there is no such validator, and the size and the date of the last change are the same.
 * `promised`: a digest is expected of the whole, which would tell in the end.
 */
export type Joining = 'compared' | 'validated' | 'alike' | 'promised';

/** What to ask for to get a part of a file; undefined: the whole, because nothing could tell that a part belongs to it. */
export function partRequest(
  location: Location,
  { location: first, source: { validator, entityTag } }: KnownFile,
  joining: Joining,
  part: Pick<RangeRequest, 'from' | 'to'>,
): RangeRequest | undefined {
  if (location === first) {
    const isTold = validator !== undefined || joining === 'promised' || joining === 'alike';
    return isTold ? { ...part, validator } : undefined;
  }
  if (joining === 'promised') return part;
  if (joining === 'compared' || entityTag === undefined) return undefined;
  // A date is only a validator to the server that gave it (RFC 9110, section 13.1.5).
  return { ...part, validator: entityTag };
}

/**
 * Why the part that `source` holds may be joined to what there is: a validator (or a date) says so, or only the promise of a
 * digest; undefined when it may not.
 */
export function reasonToJoin(
  location: Location,
  source: Source,
  { location: first, source: before }: KnownFile,
  joining: Joining,
): 'validator' | 'promise' | undefined {
  // Nobody knows where such a part ends.
  if (source.size === undefined && before.size === undefined) return undefined;
  if (location !== first) {
    if (source.entityTag !== undefined && source.entityTag === before.entityTag) return 'validator';
    return joining === 'promised' && source.size !== undefined && source.size === before.size
      ? 'promise'
      : undefined;
  }
  if (hasOtherTag(source, before)) return undefined;
  // The same validator, or none: a server that was asked with If-Range has sent a part only if it still holds.
  const tagHolds = source.entityTag === undefined || source.entityTag === before.entityTag;
  const dateHolds = sameDate(source, before) !== false;
  if (before.validator !== undefined) {
    // A part without a tag is not told by the tag of what came before.
    return tagHolds && (source.entityTag !== undefined || dateHolds) ? 'validator' : undefined;
  }
  if (joining === 'alike') {
    return source.size === before.size && sameDate(source, before) === true ? 'validator' : undefined;
  }
  return joining === 'promised' && dateHolds ? 'promise' : undefined;
}

/** How the length of a file shows that it is another one; undefined when it does not. */
export function otherLength(
  { size }: { readonly size: number | undefined },
  { source: before }: KnownFile,
): string | undefined {
  if (size === undefined || before.size === undefined || size === before.size) return undefined;
  return `it has ${size} bytes now, and had ${before.size}`;
}

/** What the server itself calls another file, before any of it is compared; undefined when it does not. */
export function otherIdentity(
  source: KnownFile['source'],
  { source: before }: KnownFile,
): string | undefined {
  const sameBytes = source.size !== undefined && sameDate(source, before) === true;
  if (hasOtherTag(source, before)) return sameBytes ? undefined : 'it has another ETag now';
  if (source.entityTag !== undefined && source.entityTag === before.entityTag) return undefined;
  return sameDate(source, before) === false ? 'it has another date now' : undefined;
}

/** Whether a server that gives tags says by them that it is another file; a weak one is enough for that. */
function hasOtherTag(
  { opaqueTag: one }: Pick<Source, 'opaqueTag'>,
  { opaqueTag: other }: Pick<Source, 'opaqueTag'>,
): boolean {
  return one !== undefined && other !== undefined && one !== other;
}

/** undefined when one of the dates is unknown. */
function sameDate(
  one: Pick<Source, 'lastModified'>,
  other: Pick<Source, 'lastModified'>,
): boolean | undefined {
  if (one.lastModified === undefined || other.lastModified === undefined) return undefined;
  return one.lastModified.getTime() === other.lastModified.getTime();
}
