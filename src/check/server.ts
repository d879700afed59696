import { X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import { size } from '../console/quantity.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { connect } from '../source/connection.ts';
import { openSource } from '../source/open-source.ts';
import { peek } from '../source/peek.ts';
import { readPart } from '../source/read-part.ts';
import type { Location, SourceOptions } from '../source/source.ts';
import { type ExpectedSize, expectSize, START_BYTES } from '../transfer/expected-size.ts';
import { DEFAULT_LIMITS, requireDownload, requireSize } from '../transfer/limits.ts';
import type { Findings } from './finding.ts';
import { checkImageStart, type ImageUse, LOOKED_AT } from './image-start.ts';

/** How long the server may take for the handshake, in ms. */
const SILENCE = 30_000;

const DAY = 86_400_000;
/** A certificate that is over sooner deserves a word, in ms. */
const SOON = 14 * DAY;

/** The image as its server offers it. */
export interface OfferedImage {
  /** Where its bytes come from, after redirects. */
  readonly url: string;
  /** Bytes as served. */
  readonly size: number | undefined;
  readonly expected: ExpectedSize;
  /** The file system of an image that is one and nothing else, as far as it was told. */
  readonly fileSystem: string | undefined;
}

/**
 * Until when the certificate of an https server is good. That it is trusted, the request itself will show.
 *
 * @throws RdpullError of the network family
 */
export async function checkCertificate(
  findings: Findings,
  { url, ...server }: Location,
  options: SourceOptions,
): Promise<void> {
  const { socket } = await connect(new URL(url), { ...options, ...server }, options.silence ?? SILENCE);
  try {
    const { raw } = socket instanceof tls.TLSSocket ? socket.getPeerCertificate() : {};
    if (raw === undefined) return;
    const { validToDate, issuer } = new X509Certificate(raw);
    const left = validToDate.getTime() - Date.now();
    const text = `the certificate of ${new URL(url).host} is good until ${validToDate.toISOString().slice(0, 10)} (${Math.floor(left / DAY)} days), issued by ${shownUrl(issuer.replaceAll('\n', ', '))}`;
    if (left < SOON) findings.warn('tls', text, 'renew it: machines that boot later will refuse the server');
    else findings.ok('tls', text);
  } finally {
    socket.destroy();
  }
}

/**
 * Asks for the first bytes of an image, looks what they are, and for the end of one whose format says there how large it is.
 *
 * @throws RdpullError of the network, http, storage or decode family
 */
export async function checkImage(
  findings: Findings,
  { url, ...server }: Location,
  options: SourceOptions,
  use: Omit<ImageUse, 'shown'>,
): Promise<OfferedImage> {
  const asked = { ...options, ...server };
  const source = await openSource(url, asked, { from: 0, to: LOOKED_AT - 1 });
  try {
    const { start } = await peek(source.body, LOOKED_AT);
    const from = source.url === url ? '' : `, redirected to ${shownUrl(source.url)}`;
    const length = source.size === undefined ? 'of unknown length' : size(source.size);
    findings.ok('server', `${shownUrl(url)}: ${length}${from}`);
    checkResumption(findings, source, url.startsWith('file:'));
    if (start.length === 0) {
      throw new RdpullError('stream-truncated', `${shownUrl(url)} is empty`, 'upload the image again');
    }
    requireDownload(source.size ?? 0, DEFAULT_LIMITS);
    const expected = await expectSize({
      start: start.subarray(0, START_BYTES),
      size: source.size,
      readAt: source.acceptsRanges ? (at, count) => readPart(source, asked, at, count) : undefined,
      enough: 0,
    });
    requireSize(expected.uncompressed, source.size, DEFAULT_LIMITS);
    findings.ok('image', described(expected));
    const fileSystem = checkImageStart(findings, start, expected, { ...use, shown: shownUrl(url) });
    return { url: source.url, size: source.size, expected, fileSystem };
  } finally {
    source.close();
  }
}

/** Whether a download that breaks off could go on. */
function checkResumption(
  findings: Findings,
  { acceptsRanges, validator }: { readonly acceptsRanges: boolean; readonly validator: string | undefined },
  isLocal: boolean,
): void {
  if (isLocal) return;
  if (!acceptsRanges) {
    findings.warn(
      'server',
      'it does not send parts of the file: a download that breaks off starts over',
      'serve it with a server that answers Range, such as nginx or rdpull serve',
    );
  } else if (validator === undefined) {
    findings.ok(
      'server',
      'it sends parts of the file, but no ETag: going on after a break needs the checksum',
    );
  } else {
    findings.ok('server', 'a download that breaks off goes on where it stopped (Range, and a validator)');
  }
}

function described({ compression, format, uncompressed, exact }: ExpectedSize): string {
  if (format === 'qcow2')
    return `a qcow2 image, which will be converted to a raw one of ${size(uncompressed)}`;
  if (compression === 'none') return 'not compressed';
  const packed = `compressed with ${compression}`;
  if (uncompressed === 0) return `${packed}; its format does not say how large it is after decompression`;
  return `${packed}, ${exact ? '' : 'at least '}${size(uncompressed)} after decompression`;
}

/**
 * Whether the UKI on the server is the one that was looked at, and can be booted by a firmware, which asks for its length
 * first.
 *
 * @param uki the size of the file, in bytes
 * @throws RdpullError of the network or http family
 */
export async function checkServedUki(
  findings: Findings,
  { url, ...server }: Location,
  uki: number,
  options: SourceOptions,
): Promise<void> {
  const source = await openSource(url, { ...options, ...server, headOnly: true });
  source.close();
  const shown = shownUrl(url);
  if (source.size === undefined) {
    findings.warn(
      'url',
      `${shown}: the answer to HEAD has no Content-Length`,
      'firmware asks for it before it boots: serve the UKI as a plain file',
    );
  } else if (source.size !== uki) {
    findings.warn(
      'url',
      `${shown} has ${source.size} bytes, and the file that is checked has ${uki}: the server has another UKI`,
      'upload this one',
    );
  } else {
    findings.ok('url', `the firmware finds the UKI at ${shown}: ${size(uki)}, like the file`);
  }
}
