import { quoted } from '../console/printable.ts';
import { blockDevicePath } from './block-device-name.ts';
import { nearest } from './nearest.ts';
import type { PullRequest } from './pull-request.ts';
import { parseSize } from './size-text.ts';
import { isFileUrl } from './url.ts';

/** How often a new image is booted that never comes up. */
export const TRIES_DEFAULT = 3;
export const TRIES_MOST = 99;

/** Less holds no image. Bytes. */
export const CACHE_SIZE_LEAST = 1024 * 1024;

/** What `rd.rdpull.cache=` asks for: a device, and behind it what `rdpull pull` has options for. */
export interface CacheRequest {
  /** As fstab(5) has it: `LABEL=`, `UUID=`, `PARTLABEL=`, `PARTUUID=`, or a path below /dev. */
  readonly device: string;
  /** As it was written: `8G`. */
  readonly size: string | undefined;
  readonly tries: string | undefined;
}

const OPTIONS = ['cache-size', 'tries'] as const;

export function parseTries(text: string): number | undefined {
  const tries = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  return tries >= 1 && tries <= TRIES_MOST ? tries : undefined;
}

/** Bytes. */
export function parseCacheSize(text: string): number | undefined {
  const bytes = parseSize(text);
  return bytes !== undefined && bytes >= CACHE_SIZE_LEAST && Number.isSafeInteger(bytes) ? bytes : undefined;
}

/**
 * Reads `LABEL=images,cache-size=8G,tries=5`. An option that is wrong is left out: the cache is a help, and no reason for a boot to fail.
 *
 * @param warn takes a line about what is left out
 * @returns undefined when no device is named
 */
export function parseCacheRequest(text: string, warn: (message: string) => void): CacheRequest | undefined {
  const [device = '', ...options] = text.split(',');
  if (device === '/dev/' || blockDevicePath(device) === undefined) {
    warn(
      `the cache ${quoted(device)} is ignored: it is no device; write LABEL=, UUID=, PARTLABEL=, PARTUUID= or a path below /dev`,
    );
    return undefined;
  }
  let size: string | undefined;
  let tries: string | undefined;
  for (const option of options) {
    const [, name = option, value = ''] = /^([^=]*)=(.*)$/s.exec(option) ?? [];
    if (name === 'cache-size' && parseCacheSize(value) !== undefined) size = value;
    else if (name === 'tries' && parseTries(value) !== undefined) tries = value;
    else warn(`${quoted(option)} behind the device of the cache is ignored: ${remedy(name)}`);
  }
  return { device, size, tries };
}

function remedy(name: string): string {
  if (name === 'cache-size') return 'write cache-size=8G';
  if (name === 'tries') return `write tries=${TRIES_DEFAULT}, at most ${TRIES_MOST}`;
  const meant = nearest(name, OPTIONS);
  return meant === undefined ? `valid are ${OPTIONS.join('=, ')}=` : `did you mean ${meant}=?`;
}

/** Why an image is never kept in a cache; undefined where it can be. */
export function cacheDefect({ type, remote }: PullRequest): string | undefined {
  if (remote.kind === 'nvme') return 'the disk stays on its server';
  if (type === 'oci') return 'the layers of a container image are not kept';
  if (remote.kind === 'url' && isFileUrl(remote.url)) return 'the image lies on this machine already';
  return undefined;
}
