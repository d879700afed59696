import { quotedUrl } from '../console/shown-url.ts';
import { imageNameDefect, stripImageSuffixes } from './image-name.ts';
import { type NvmeUrl, parseNvmeUrl } from './nvme-url.ts';
import type { PullOptions, Refusal } from './pull-options.ts';
import type { PullRequest } from './pull-request.ts';
import { formatVerifyMode } from './verify-mode.ts';

/** What to do where somebody has to vouch for a disk that stays on its server. */
export const NVME_VOUCHER =
  'let dm-verity vouch for each block: an image with signed verity partitions, roothash= or root=dissect, ' +
  'and systemd.image_policy=root=signed';

/**
 * The request of an expression whose REMOTE is a disk on an NVMe server: it is attached, and nothing is pulled. Options that are for
 * downloads are ignored.
 *
 * @param local undefined where the expression names none
 * @param warn takes a line about each option that is ignored
 * @throws RdpullError bad-expression, bad-url
 */
export function nvmeRequest(
  options: PullOptions,
  local: string | undefined,
  remote: string,
  warn: (what: string) => void,
  refusal: Refusal,
): PullRequest {
  const url = parseNvmeUrl(remote);
  if ('what' in url)
    throw refusal('bad-url', `has an unusable URL: ${quotedUrl(remote)} ${url.what}`, url.hint);
  if ((options.type ?? 'raw') !== 'raw') {
    throw refusal(
      'bad-expression',
      `asks for ${options.type}, and what an NVMe server has is a disk`,
      'write raw',
    );
  }
  if (options.imageClass !== 'machine') {
    throw refusal(
      'bad-expression',
      'does not say machine, and a disk on an NVMe server is for nothing else',
      'write raw,machine,verify=no',
    );
  }
  if (options.verify.kind !== 'no') {
    throw refusal(
      'bad-expression',
      `asks for verify=${formatVerifyMode(options.verify)}, which cannot hold for a disk that stays on the server and can change at any time`,
      `write verify=no, and ${NVME_VOUCHER}`,
    );
  }
  const { bootOrigin, dhcpOrigin } = options;
  if (url.host === undefined && !bootOrigin && !dhcpOrigin) {
    throw refusal(
      'bad-url',
      'names no server',
      'write nvme+tcp://HOST, or add bootorigin: the server of the UKI',
    );
  }
  for (const word of withoutMeaning(options, url))
    warn(`"${word}" is ignored: ${remote.split('/')[0]} leads to a disk that stays on the server`);
  const dhcp = dhcpOrigin ? { dhcp: bootOrigin ? ('fallback' as const) : ('only' as const) } : {};
  return {
    remote: { kind: 'nvme', url, ...(url.host === undefined && dhcp) },
    mirrors: [],
    stores: [],
    type: 'raw',
    imageClass: 'machine',
    local: local ?? nameOfSubsystem(url.nqn),
    verify: options.verify,
    readOnly: options.readOnly ?? false,
    blockdev: true,
    overcommit: false,
    onDemand: undefined,
    overlay: options.overlay,
    report: false,
    ramDisk: false,
    runtime: undefined,
  };
}

function withoutMeaning(options: PullOptions, { host }: NvmeUrl): readonly string[] {
  const { bootOrigin, dhcpOrigin, onDemand, fillRate, ramDisk, mirrors, stores, overcommit, runtime } =
    options;
  return [
    ...(host !== undefined && bootOrigin ? ['bootorigin'] : []),
    ...(host !== undefined && dhcpOrigin ? ['dhcporigin'] : []),
    ...(onDemand === 'no' ? [] : ['on-demand']),
    ...(fillRate === undefined ? [] : ['fill=']),
    ...(ramDisk ? ['ramdisk'] : []),
    ...(mirrors.length === 0 ? [] : ['mirror=']),
    ...(stores.length === 0 ? [] : ['store=']),
    ...(overcommit ? ['overcommit'] : []),
    ...(runtime === undefined ? [] : ['runtime=']),
  ];
}

/**
 * What an image is called by the subsystem that has it: `nqn.2023-10.io.systemd:storagetm.ID.image.raw` is `image`. undefined where that
 * yields no name.
 */
export function nameOfSubsystem(nqn: string | undefined): string | undefined {
  const specific = nqn?.slice(nqn.indexOf(':') + 1) ?? '';
  // Behind the ID of the machine that serves it, of 32 digits, comes the name of the file, which may hold dots.
  const file = /(?:^|[.:])[0-9a-f]{32}\.(.+)$/.exec(specific)?.[1] ?? specific;
  const name = stripImageSuffixes(file.slice(file.lastIndexOf(':') + 1), 'raw');
  return imageNameDefect(name) === undefined ? name : undefined;
}
