import type { JournalEvent } from '../console/journal-events.ts';
import { printable } from '../console/printable.ts';
import { duration, size } from '../console/quantity.ts';
import { shownUrl, withoutSecrets } from '../console/shown-url.ts';
import type { RecordedCache } from '../record/transfer-record.ts';
import type { Promised } from '../transfer/promise.ts';
import type { TransferResult } from '../transfer/transfer.ts';
import { exposedJson } from './exposed.ts';
import type { Exposed } from './exposure.ts';
import type { CacheFiguresJson, PulledJson } from './json-results.ts';
import { vouched } from './vouched.ts';

/** What a person is told of an image that was pulled, in one line. */
export function pulledSummary(
  { target, received, decoded, compression, format, layers = 1, promised, reused = [], copy }: TransferResult,
  milliseconds: number,
): string {
  const packed = [format === 'qcow2' ? ['qcow2'] : [], compression === 'none' ? [] : [compression]].flat();
  const layered = format === 'oci' ? ` in ${layers === 1 ? 'one layer' : `${layers} layers`}` : '';
  const many = format === 'caibx' ? ' in chunks' : layered;
  const kind = many !== '' || packed.length === 0 ? many : ` of ${packed.join(' in ')}`;
  const from =
    copy === undefined
      ? `received${reusedFrom(reused)}`
      : `reused (${printable(copy.path)}), nothing fetched`;
  return `${printable(target)}: ${size(received)}${kind} ${from}, ${size(decoded)} written in ${duration(milliseconds)}, ${vouched(promised)}`;
}

/** `, 12 MiB found in /var/lib/old.raw` */
function reusedFrom(reused: NonNullable<TransferResult['reused']>): string {
  return reused.map(({ path, bytes }) => `, ${size(bytes)} found in ${printable(path)}`).join('');
}

/** What the journal has of it. */
export function finishedEvent(
  { url, target, received, decoded, sha256, promised }: TransferResult,
  milliseconds: number,
  cache: RecordedCache | undefined,
): JournalEvent {
  const manifestUrl = promised?.manifestUrl;
  const signer = promised?.signedBy;
  return {
    event: 'pull-finished',
    url: shownUrl(url),
    target: printable(target),
    received,
    written: decoded,
    milliseconds,
    sha256,
    verifiedBy: verifiedBy(promised),
    manifestUrl: manifestUrl === undefined ? undefined : shownUrl(manifestUrl),
    signedBy: signer?.fingerprint,
    reused: cache?.reused,
    cachedImage: cache?.image === undefined ? undefined : printable(cache.image),
  };
}

/** What vouches for an image, in a word for the journal. */
export function verifiedBy(promised: Promised | undefined): 'nothing' | 'sha256' | 'checksum' | 'signature' {
  if (promised === undefined) return 'nothing';
  if (promised.manifestUrl === undefined) return 'sha256';
  return promised.signedBy === undefined ? 'checksum' : 'signature';
}

/** What a script is told of it. */
export function pulledJson(
  result: TransferResult,
  milliseconds: number,
  exposed: Exposed,
  cache: RecordedCache | undefined,
): PulledJson {
  const { target, received, decoded, entries, compression, format, layers, promised } = result;
  // Who reads this has asked for it.
  const { sha256 = '' } = result;
  // A redirect to an object store leads to a URL that is signed.
  const url = withoutSecrets(result.url);
  return {
    ...{ target, url, received, decoded, entries, compression, format, sha256, promised },
    ...(layers !== undefined && { layers }),
    milliseconds,
    ...(cache !== undefined && { cache: cacheJson(cache) }),
    ...exposedJson(exposed),
  };
}

export function cacheJson({ id: _, ...cache }: RecordedCache): CacheFiguresJson {
  return cache;
}
