/**
 * How much later than its `Last-Modified` a file has to be served for that date to identify its bytes, in ms. RFC 9110,
 * section 8.8.2.2, wants a second by one clock, or enough for clocks that differ: what changed in the last minute may
 * change again within the same second.
 */
const SETTLED = 60_000;

/** A strong entity tag (RFC 9110, section 8.8.3); undefined for a weak one, which may stay when bytes change. */
export function strongEntityTag(header: string | undefined): string | undefined {
  const tag = header?.trim();
  return tag !== undefined && /^"[\x21\x23-\x7e\x80-\xff]*"$/.test(tag) ? tag : undefined;
}

/**
 * What a strong and a weak entity tag have between their quotes, with those: what differs in that is of another file, whichever they are
 * (RFC 9110, section 8.8.3.2). The same in two weak ones says nothing of the bytes.
 */
export function opaqueTag(header: string | undefined): string | undefined {
  return strongEntityTag(header?.trim().replace(/^W\/(?=")/, ''));
}

/**
 * What `If-Range` may carry: the strong entity tag, else the date of the last change where that is strong (RFC 9110,
 * section 13.1.5). Where there is any entity tag, a date must not be sent.
 */
export function strongValidator(header: (name: string) => string | undefined): string | undefined {
  const entityTag = header('etag');
  if (entityTag !== undefined) return strongEntityTag(entityTag);
  const lastModified = header('last-modified');
  if (lastModified === undefined) return undefined;
  const settled = Date.parse(header('date') ?? '') - Date.parse(lastModified);
  return settled >= SETTLED ? lastModified : undefined;
}
