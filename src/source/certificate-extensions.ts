/** The extensions of a certificate that decide what it may be used for (RFC 5280, section 4.2). */
export interface CertificateExtensions {
  /** basicConstraints: whether it may issue others. */
  readonly isAuthority: boolean;
  /** basicConstraints: how many authorities may stand between it and the last certificate; undefined: any number. */
  readonly pathLength: number | undefined;
  /** keyUsage: the numbers of the bits that are set; undefined: any use. */
  readonly keyUsage: ReadonlySet<number> | undefined;
  /** extKeyUsage, as dotted OIDs; undefined: any purpose. */
  readonly purposes: ReadonlySet<string> | undefined;
  /** Extensions that are not among these, but have to be understood: critical ones, and nameConstraints. */
  readonly notUnderstood: readonly string[];
  /** OID of the algorithm it was signed with. */
  readonly signatureAlgorithm: string;
}

const BASIC_CONSTRAINTS = '2.5.29.19';
const KEY_USAGE = '2.5.29.15';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17';
const NAME_CONSTRAINTS = '2.5.29.30';

/** Identifier octets of DER (X.690, section 8.1.2). */
const BOOLEAN = 0x01;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const SEQUENCE = 0x30;
/** `extensions [3]` of a TBSCertificate. */
const EXTENSIONS = 0xa3;

interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
}

/**
 * Reads the extensions out of a certificate in DER form that a TLS library has parsed already: only what the runtime
 * does not tell.
 *
 * @throws Error when something is not as RFC 5280 says, or an extension stands there twice
 */
export function certificateExtensions(der: Uint8Array): CertificateExtensions {
  const [certificate] = elements(der);
  const [tbs, algorithm] = elements(content(certificate, SEQUENCE));
  const signatureAlgorithm = objectIdentifier(elements(content(algorithm, SEQUENCE))[0]);
  const extensions = new Map<string, Uint8Array>();
  const notUnderstood: string[] = [];
  const wrapped = elements(content(tbs, SEQUENCE)).find(({ tag }) => tag === EXTENSIONS);
  const list = wrapped === undefined ? [] : elements(content(elements(wrapped.content)[0], SEQUENCE));
  for (const extension of list) {
    const [name, ...rest] = elements(content(extension, SEQUENCE));
    const oid = objectIdentifier(name);
    if (extensions.has(oid)) throw malformed();
    const critical = rest.length === 2 && boolean(rest[0]);
    extensions.set(oid, content(rest.at(-1), OCTET_STRING));
    if (oid === NAME_CONSTRAINTS || (critical && !UNDERSTOOD.has(oid))) notUnderstood.push(oid);
  }
  return {
    ...basicConstraints(extensions.get(BASIC_CONSTRAINTS)),
    keyUsage: keyUsage(extensions.get(KEY_USAGE)),
    purposes: purposes(extensions.get(EXTENDED_KEY_USAGE)),
    notUnderstood,
    signatureAlgorithm,
  };
}

const UNDERSTOOD: ReadonlySet<string> = new Set([
  BASIC_CONSTRAINTS,
  KEY_USAGE,
  EXTENDED_KEY_USAGE,
  SUBJECT_ALTERNATIVE_NAME,
]);

function basicConstraints(
  der: Uint8Array | undefined,
): Pick<CertificateExtensions, 'isAuthority' | 'pathLength'> {
  if (der === undefined) return { isAuthority: false, pathLength: undefined };
  const fields = elements(content(elements(der)[0], SEQUENCE));
  const flag = fields.find(({ tag }) => tag === BOOLEAN);
  const length = fields.find(({ tag }) => tag === INTEGER);
  if (length !== undefined && (length.content.length !== 1 || (length.content[0] ?? 0xff) > 0x7f)) {
    throw malformed();
  }
  return { isAuthority: flag !== undefined && boolean(flag), pathLength: length?.content[0] };
}

function keyUsage(der: Uint8Array | undefined): ReadonlySet<number> | undefined {
  if (der === undefined) return undefined;
  // The first octet of a bit string says how many bits of the last one are unused.
  const bits = content(elements(der)[0], BIT_STRING).subarray(1);
  const set = new Set<number>();
  for (const [index, octet] of bits.entries()) {
    for (let bit = 0; bit < 8; bit++) if ((octet & (0x80 >> bit)) !== 0) set.add(index * 8 + bit);
  }
  return set;
}

function purposes(der: Uint8Array | undefined): ReadonlySet<string> | undefined {
  if (der === undefined) return undefined;
  return new Set(elements(content(elements(der)[0], SEQUENCE)).map(objectIdentifier));
}

/** The elements that stand one behind the other in `der`. */
function elements(der: Uint8Array): Element[] {
  const found: Element[] = [];
  let at = 0;
  while (at < der.length) {
    const tag = der[at++] ?? 0;
    let length = der[at++] ?? 0x80;
    if (length >= 0x80) {
      const octets = length - 0x80;
      // 0x80 alone is the indefinite length, which DER does not have.
      if (octets < 1 || octets > 3) throw malformed();
      length = 0;
      for (let octet = 0; octet < octets; octet++) length = length * 256 + (der[at++] ?? 0);
    }
    if (at + length > der.length) throw malformed();
    found.push({ tag, content: der.subarray(at, at + length) });
    at += length;
  }
  return found;
}

function content(element: Element | undefined, tag: number): Uint8Array {
  if (element?.tag !== tag) throw malformed();
  return element.content;
}

function boolean(element: Element | undefined): boolean {
  return content(element, BOOLEAN)[0] !== 0;
}

function objectIdentifier(element: Element | undefined): string {
  const arcs: number[] = [];
  let arc = 0;
  for (const octet of content(element, OBJECT_IDENTIFIER)) {
    arc = arc * 128 + (octet & 0x7f);
    if (octet < 0x80) {
      arcs.push(arc);
      arc = 0;
    }
  }
  const [first = 0, ...others] = arcs;
  const root = Math.min(2, Math.floor(first / 40));
  return [root, first - root * 40, ...others].join('.');
}

function malformed(): Error {
  return new Error('a certificate is malformed');
}
