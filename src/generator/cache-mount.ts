import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { blockDevicePath } from '../request/block-device-name.ts';
import { type CacheRequest, cacheDefect, parseCacheRequest } from '../request/cache.ts';
import { escapeSpecifiers } from '../request/unit-name.ts';
import { boundedWait } from './bounded-wait.ts';
import { CACHE_MOUNT, CACHE_MOUNT_UNIT, type PlannedPull } from './planned-pull.ts';
import { GENERATED } from './pull-unit.ts';
import { settingDefect, unitText } from './unit-text.ts';
import type { UnitTreeEntry } from './unit-tree.ts';

/**
 * How long the device is waited for, in seconds, once udev looks for devices and the network is up: before that, nobody would go on without
 * it, and a machine on which a disk takes long to be found is one on which the network does, too.
 */
const DEVICE_PATIENCE = 30;

/** Nothing on the disk may become a program, a device or a right: images are read by rdpull, and by nobody else. */
const OPTIONS = 'rw,noexec,nosuid,nodev,noatime';

/** What was asked for, and who said so. */
export interface CacheSource {
  readonly text: string;
  /** The file, for SourcePath=. */
  readonly path: string;
}

/** A cache for the pulls of a boot. */
export interface PlannedCache {
  readonly request: CacheRequest;
  /** The device node. */
  readonly device: string;
  readonly source: CacheSource;
}

/**
 * The cache that is asked for, where it can be had.
 *
 * @param warn takes a line about what is ignored
 */
export function planCache(
  source: CacheSource | undefined,
  warn: (message: string) => void,
): PlannedCache | undefined {
  if (source === undefined || source.text === '') return undefined;
  const request = parseCacheRequest(source.text, warn);
  const device = request === undefined ? undefined : blockDevicePath(request.device);
  if (request === undefined || device === undefined) return undefined;
  const defect = settingDefect(device);
  if (defect === undefined) return { request, device, source };
  warn(`the cache ${printable(request.device)} is ignored: it ${defect}`);
  return undefined;
}

/**
 * The pulls, with the cache for those that can use it.
 *
 * @param warn takes a line about each that cannot
 */
export function withCache(
  pulls: readonly PlannedPull[],
  cache: PlannedCache | undefined,
  warn: (message: string) => void,
): readonly PlannedPull[] {
  if (cache === undefined) return pulls;
  return pulls.map((pull) => {
    const defect = cacheDefect(pull.request);
    if (defect === undefined) return { ...pull, cache: cache.request };
    warn(`${printable(pull.object.path)} is pulled without the cache: ${defect}`);
    return pull;
  });
}

/**
 * The mount of the cache, which the pulls want and wait for, and which none of them needs.
 *
 * @param warn takes a line when there can be none
 */
export function cacheEntries(
  pulls: readonly PlannedPull[],
  cache: PlannedCache | undefined,
  warn: (message: string) => void,
): UnitTreeEntry[] {
  if (cache === undefined || pulls.every((pull) => pull.cache === undefined)) return [];
  try {
    const { device, source } = cache;
    const unit: [string, string][] = [
      ['Description', 'Cache of pulled images'],
      ['Documentation', 'man:rdpull.cache(7)'],
      ['SourcePath', escapeSpecifiers(source.path)],
      ['DefaultDependencies', 'no'],
    ];
    const mount: [string, string][] = [
      ['What', escapeSpecifiers(device)],
      ['Where', CACHE_MOUNT],
      ['Options', OPTIONS],
      ['TimeoutSec', '30s'],
    ];
    return [
      {
        precedence: 'normal',
        name: CACHE_MOUNT_UNIT,
        content: unitText(
          [GENERATED],
          [
            { name: 'Unit', settings: unit },
            { name: 'Mount', settings: mount },
          ],
        ),
      },
      boundedWait({
        ...{ device, name: '40-rdpull-cache', consequence: 'The boot does not wait longer for the cache.' },
        ...{ seconds: DEVICE_PATIENCE, after: 'systemd-udev-trigger.service network-online.target' },
      }),
    ];
  } catch (error) {
    warn(`the cache is ignored: ${RdpullError.from(error).message}`);
    return [];
  }
}
