import { distance } from 'fastest-levenshtein';
import { quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';

/** The longest checksum file that is read, in bytes; systemd-pull has the same bound. */
export const MANIFEST_MAX = 1024 * 1024;

/** A checksum file: SHA-256 digests of files that lie beside it. */
export interface Manifest {
  readonly url: string;
  readonly entries: readonly ManifestEntry[];
}

export interface ManifestEntry {
  readonly name: string;
  /** 64 lower-case hexadecimal digits. */
  readonly digest: string;
  /** Where it stands, counted from 1. */
  readonly line: number;
}

/** A name that is no file's but says until when the list is fresh: see systemd-sysupdate's NEWS for version 260. */
const BEST_BEFORE = 'BEST-BEFORE-';

/**
 * Reads a checksum file as sha256sum(1) writes it: `DIGEST  NAME`, `DIGEST *NAME`, the one-space variant of
 * linuxcontainers.org, `\`-escaped names, and `--tag` lines `SHA256 (NAME) = DIGEST`.
 *
 * More is accepted than systemd does: capital digits, CRLF, a last line without its newline, `.` before a name, and
 * UTF-16 with a byte order mark, which is what `>` in Windows PowerShell writes.
 * Lines of any other shape are passed over, as systemd does: comments, other digests, the armor of an inline signature.
 *
 * @param now decides whether the list's best-before dates have passed
 * @throws RdpullError manifest-malformed for a file that is too long, holds no SHA-256 digest, or has expired
 */
export function parseManifest(content: Uint8Array, url: string, now: Date): Manifest {
  if (content.length > MANIFEST_MAX) {
    throw new RdpullError(
      'manifest-malformed',
      `${url} is longer than the ${MANIFEST_MAX} bytes that a checksum file may have`,
      'write a checksum file for this one image: sha256sum IMAGE > IMAGE.sha256',
    );
  }
  const lines = textOf(content).split(/\r?\n/);
  const entries = lines
    .map((line, index) => parseLine(line.replace(/^\ufeff/, ''), index + 1))
    .filter((entry) => entry !== undefined);
  if (entries.length === 0 && isUnmarkedUtf16(content)) {
    throw new RdpullError(
      'manifest-malformed',
      `${url} is no checksum file that can be read: it seems to be UTF-16, without the byte order mark that would say so`,
      'write it as plain text: sha256sum IMAGE > IMAGE.sha256, or in PowerShell with Out-File -Encoding ascii; then sign it anew',
    );
  }
  if (entries.length === 0) {
    throw new RdpullError(
      'manifest-malformed',
      `${url} is no checksum file: it holds no line with a SHA-256 digest and a name, and begins with ${quoted(lines[0] ?? '')}`,
      'write it with: sha256sum IMAGE > IMAGE.sha256',
    );
  }
  for (const { name } of entries) {
    if (name.startsWith(BEST_BEFORE)) requireFresh(name.slice(BEST_BEFORE.length), url, now);
  }
  return { url, entries };
}

/** Whether every other octet of its beginning is 0, as in a list that is written in UTF-16. */
function isUnmarkedUtf16(content: Uint8Array): boolean {
  const begin = [...content.subarray(0, 64)];
  const isZero = (parity: number) => begin.every((octet, index) => index % 2 !== parity || octet === 0);
  return begin.length >= 16 && (isZero(0) || isZero(1));
}

/** UTF-8, with or without a byte order mark, or UTF-16 with one. */
function textOf(content: Uint8Array): string {
  const [first = 0, second = 0] = content;
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(content);
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be').decode(content);
  return new TextDecoder().decode(content);
}

/**
 * The line of `manifest` that gives the SHA-256 of `fileName`, which may stand in a list as it does in the URL, as systemd
 * looks for it, or without its percent-encoding, as sha256sum writes it.
 *
 * @param fileName as it stands in the URL
 * @throws RdpullError manifest-not-listed, with the names that come near; manifest-malformed when two lines contradict
 */
export function entryOf(manifest: Manifest, fileName: string): ManifestEntry {
  const entries = entriesOf(manifest, fileName);
  const [entry] = entries;
  if (entry === undefined) throw notListed(manifest, fileName);
  const digests = new Set(entries.map(({ digest }) => digest));
  if (digests.size > 1) {
    throw new RdpullError(
      'manifest-malformed',
      `${manifest.url} contradicts itself: it gives ${digests.size} different digests for ${quoted(fileName)}`,
      'write the checksum file anew, with one line for each file',
    );
  }
  return entry;
}

/** Whether any line is for `fileName`: {@link entryOf}. */
export function lists(manifest: Manifest, fileName: string): boolean {
  return entriesOf(manifest, fileName).length > 0;
}

function entriesOf({ entries }: Manifest, fileName: string): readonly ManifestEntry[] {
  const names = [fileName, plainName(fileName)];
  return entries.filter(({ name }) => names.includes(name));
}

/** A name in a URL as the file is called; as it stands there when its percent-encoding makes no name. */
export function plainName(fileName: string): string {
  try {
    const plain = decodeURIComponent(fileName);
    return /[/\0]/.test(plain) ? fileName : plain;
  } catch {
    return fileName;
  }
}

function parseLine(line: string, number: number): ManifestEntry | undefined {
  const gnu = /^(\\?)(?<digest>[0-9a-f]{64}) [ *]?(?<name>[^\r\n]+)$/i.exec(line);
  const bsd = /^(\\?)SHA256 \((?<name>[^\r\n]+)\) = (?<digest>[0-9a-f]{64})$/i.exec(line);
  const match = gnu ?? bsd;
  const { name: written, digest } = match?.groups ?? {};
  if (written === undefined || digest === undefined) return undefined;

  const name = match?.[1] === '' ? written : unescapeName(written);
  if (name === undefined) return undefined;
  return { name: name.replace(/^\.\/(?=.)/, ''), digest: digest.toLowerCase(), line: number };
}

/** Undoes the escapes of sha256sum (coreutils, digest.c, filename_unescape); undefined when there is another one. */
function unescapeName(written: string): string | undefined {
  if (written.replace(/\\[\\nr]/g, '').includes('\\')) return undefined;
  return written.replace(/\\([\\nr])/g, (_, escaped) => ({ n: '\n', r: '\r' })[String(escaped)] ?? '\\');
}

/**
 * Refuses a list once its best-before date has begun, in UTC. systemd-sysupdate compares the same way, and likewise
 * every such date of the list has to hold.
 */
function requireFresh(date: string, url: string, now: Date): void {
  const begin = new Date(`${date}T00:00:00Z`);
  const written = Number.isNaN(begin.getTime())
    ? undefined
    : begin.toISOString().slice(0, 'YYYY-MM-DD'.length);
  if (written !== date) {
    throw new RdpullError(
      'manifest-malformed',
      `${url} carries the entry ${quoted(BEST_BEFORE + date)}, which names no date`,
      'write it as BEST-BEFORE-YYYY-MM-DD, and sign the checksum file again',
    );
  }
  if (begin < now) {
    throw new RdpullError(
      'manifest-malformed',
      `the manifest ${url} expired on ${date}; this machine's clock says ${now.toISOString()}`,
      'publish a checksum file with a later BEST-BEFORE entry, or set the clock of this machine',
    );
  }
}

function notListed(manifest: Manifest, fileName: string): RdpullError {
  const plain = plainName(fileName);
  const near = nearNames(manifest, plain).map(quoted).join(', ');
  const name = plain === fileName ? quoted(fileName) : `${quoted(fileName)} or ${quoted(plain)}`;
  return new RdpullError(
    'manifest-not-listed',
    `${manifest.url} does not list ${name}${near === '' ? '' : `; it does list ${near}`}`,
    'add the line that sha256sum prints for the file under exactly this name, and sign the checksum file again',
  );
}

/** Up to three names of the list that `fileName` may have been meant to be, or that it has behind another path. */
function nearNames(manifest: Manifest, fileName: string): string[] {
  const names = new Set(manifest.entries.map(({ name }) => name));
  return [...names]
    .map((name) => ({ name, distance: distance(name.slice(name.lastIndexOf('/') + 1), fileName) }))
    .filter((candidate) => candidate.distance <= fileName.length / 3)
    .sort((one, other) => one.distance - other.distance)
    .slice(0, 3)
    .map(({ name }) => name);
}
