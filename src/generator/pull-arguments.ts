import type { CacheRequest } from '../request/cache.ts';
import { formatNvmeUrl } from '../request/nvme-url.ts';
import { formatOnDemand } from '../request/on-demand.ts';
import { type DhcpUse, type Remote, remoteText } from '../request/pull-request.ts';
import { isFileUrl } from '../request/url.ts';
import { formatVerifyMode } from '../request/verify-mode.ts';
import { CACHE_MOUNT, type PlannedPull, ROOT_LINK } from './planned-pull.ts';

/**
 * How long to go on without progress, in seconds: the network is often not ready when systemd says so. Less than
 * TimeoutStartSec= of the unit, so that rdpull can still say what is wrong.
 */
const PATIENCE = 300;

/**
 * The command line that does a pull, behind the program's name. `rdpull pull` reads the same request out of it again
 * (src/commands/pull-arguments.ts), but for `runtime`, which has become `--image-root=`.
 */
export function pullArguments(pull: PlannedPull): string[] {
  const { request, object, isRoot, whenPresent, cache } = pull;
  if (request.remote.kind === 'nvme') return attachArguments(pull, request.remote);
  const {
    remote,
    mirrors,
    stores,
    type,
    imageClass,
    verify,
    readOnly,
    blockdev,
    overcommit,
    onDemand,
    report,
    ramDisk,
  } = request;
  const where = ['--boot-screen', `--image-root=${object.directory}`];
  if (whenPresent === 'keep') where.push('--keep');
  if (isRoot && type === 'raw') where.push(`--root-link=${ROOT_LINK}`);
  if (cache !== undefined) where.push(...cacheArguments(cache));
  // With a cache, it depends on what is in there.
  else if (remote.kind !== 'url' || !isFileUrl(remote.url)) where.push(`--patience=${PATIENCE}`);
  where.push(...mirrors.map((url) => `--mirror=${url}`), ...stores.map((url) => `--store=${url}`));
  if (remote.kind === 'bootorigin') {
    const options = [type, imageClass, ...originOptions(remote.dhcp), `verify=${formatVerifyMode(verify)}`];
    if (readOnly) options.push('ro');
    if (blockdev) options.push('blockdev');
    if (overcommit) options.push('overcommit');
    if (!report) options.push('no-report');
    if (onDemand !== undefined) options.push(...formatOnDemand(onDemand));
    if (ramDisk) options.push('ramdisk');
    const local = object.local.replaceAll(/[\\:]/g, '\\$&');
    return ['pull', ...where, `${options.join(',')}:${local}:${remote.name ?? ''}`];
  }
  const what = [`--type=${type}`, `--class=${imageClass}`, `--local=${object.local}`];
  const how = [`--verify=${formatVerifyMode(verify)}`];
  if (readOnly) how.push('--read-only');
  if (blockdev) how.push('--blockdev');
  if (overcommit) how.push('--overcommit');
  if (!report) how.push('--no-report');
  if (onDemand !== undefined) how.push(...formatOnDemand(onDemand).map((word) => `--${word}`));
  if (ramDisk) how.push('--ramdisk');
  return ['pull', ...what, ...where, ...how, remoteText(remote)];
}

/** The command line that attaches a disk which stays on its server; src/commands/attach.ts reads it. */
function attachArguments({ request, object, isRoot }: PlannedPull, { url, dhcp }: NvmeRemote): string[] {
  return [
    'attach',
    '--boot-screen',
    `--loop-ref=${object.local}.raw`,
    ...(isRoot ? [`--root-link=${ROOT_LINK}`] : []),
    `--patience=${PATIENCE}`,
    ...(request.readOnly ? ['--read-only'] : []),
    ...(dhcp === undefined ? [] : [`--dhcporigin=${dhcp}`]),
    formatNvmeUrl(url),
  ];
}

type NvmeRemote = Extract<Remote, { readonly kind: 'nvme' }>;

/** Who says where the machine is to boot from. */
function originOptions(dhcp: DhcpUse | undefined): readonly string[] {
  if (dhcp === 'only') return ['dhcporigin'];
  return dhcp === 'fallback' ? ['bootorigin', 'dhcporigin'] : ['bootorigin'];
}

function cacheArguments({ size, tries }: CacheRequest): string[] {
  return [
    `--cache=${CACHE_MOUNT}`,
    ...(size === undefined ? [] : [`--cache-size=${size}`]),
    ...(tries === undefined ? [] : [`--tries=${tries}`]),
  ];
}
