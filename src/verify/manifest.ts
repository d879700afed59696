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
 * More is accepted than systemd does: capital digits, CRLF, a last line without its newline, `.` before a name.
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
  const lines = new TextDecoder().decode(content).split(/\r?\n/);
  const entries = lines
    .map((line, index) => parseLine(line, index + 1))
    .filter((entry) => entry !== undefined);
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

/**
 * The line of `manifest` that gives the SHA-256 of `fileName`.
 *
 * @throws RdpullError manifest-not-listed, with the names that come near; manifest-malformed when two lines contradict
 */
export function entryOf(manifest: Manifest, fileName: string): ManifestEntry {
  const entries = manifest.entries.filter(({ name }) => name === fileName);
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
  const near = nearNames(manifest, fileName).map(quoted).join(', ');
  return new RdpullError(
    'manifest-not-listed',
    `${manifest.url} does not list ${quoted(fileName)}${near === '' ? '' : `; it does list ${near}`}`,
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
