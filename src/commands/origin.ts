import { quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl, withoutSecrets } from '../console/shown-url.ts';
import type { DhcpLease } from '../origin/dhcp/dhcp-lease.ts';
import type { DhcpOrigin } from '../origin/dhcp/dhcp-origin.ts';
import type { OriginKind } from '../origin/image-url.ts';
import { FILE_TYPES } from '../request/image-class.ts';
import { formatNvmeUrl } from '../request/nvme-url.ts';
import { placeholderDefect } from '../request/placeholder.ts';
import { isUrlText } from '../request/url.ts';
import { splitLogin } from '../source/login.ts';
import type { Command } from './command.ts';
import type { OriginJson } from './json-results.ts';
import { fillPlaceholders, readBootOrigin } from './pull-url.ts';

export const origin: Command = {
  name: 'origin',
  operand: 'NAME',
  operandIsOptional: true,
  summary: 'print where this machine was booted from over HTTP, and the URLs of the images beside it',
  description: `Prints the URL that this machine was booted from, which EFI variable says so, and the URL of the file NAME
beside it, as the option bootorigin of a pull expression finds it. Without NAME: the URLs at which an image
called like the boot file is looked for, best first, and the NVMe servers that nvme+tcp: asks. Then what each DHCP
client has kept of its lease, and which URL the option dhcporigin takes out of that; on a machine that was not
booted over HTTP, the URLs of the images beside that one. Nothing is downloaded, and nobody is asked.

Prints nothing, and succeeds, on a machine that was not booted over HTTP and has no lease.`,
  options: [],
  async run(line, { reporter, signal }) {
    const name = line.operand === '' ? undefined : checkedName(line.operand);
    const found = await readBootOrigin(reporter.detail);
    const leases = await readLeases(reporter.detail);
    const dhcp = await originIn(leases);
    if (found === undefined)
      reporter.info('this machine was not booted over HTTP: no EFI variable holds a boot URL');
    const url = found === undefined ? undefined : splitLogin(found.url).url;
    const place: Place | undefined = url === undefined ? dhcp : { url, kind: 'uki' };
    const images =
      place === undefined
        ? []
        : name === undefined
          ? await candidates(place, reporter.info)
          : await imageCalled(name, place, signal);
    const nvme = place === undefined || name !== undefined ? [] : await nvmeServers(place.url);
    const lines = [
      ...(url === undefined ? [] : [`booted from  ${url}`, `says         ${found?.source}`]),
      ...(await leaseLines(leases)),
      ...(dhcp === undefined ? [] : [`dhcporigin   ${shownUrl(dhcp.url)} (${dhcp.field})`]),
      ...images.map((image) => `image        ${shownUrl(image)}`),
      ...nvme.map((each) => `nvme         ${each}`),
    ];
    const origin =
      url === undefined || found === undefined ? { url: null } : { url, source: found.source, images };
    reporter.result(lines, {
      ...origin,
      ...leaseJson(leases, dhcp, images),
      ...(nvme.length > 0 && { nvme }),
    } satisfies OriginJson);
  },
};

async function readLeases(detail: (text: string) => void): Promise<readonly DhcpLease[]> {
  const { readDhcpLeases } = await import('../origin/dhcp/dhcp-leases.ts');
  return readDhcpLeases(detail);
}

async function originIn(leases: readonly DhcpLease[]): Promise<DhcpOrigin | undefined> {
  const { findDhcpOrigin } = await import('../origin/dhcp/dhcp-origin.ts');
  return findDhcpOrigin(leases);
}

async function leaseLines(leases: readonly DhcpLease[]): Promise<readonly string[]> {
  const { describeLease } = await import('../origin/dhcp/dhcp-origin.ts');
  return leases.map((lease) => `lease        ${describeLease(lease)}`);
}

/** What DHCP says, for a script; nothing on a machine without a lease. */
function leaseJson(leases: readonly DhcpLease[], dhcp: DhcpOrigin | undefined, images: readonly string[]) {
  if (leases.length === 0) return {};
  const shown = (text: string | undefined) => (text === undefined ? null : withoutSecrets(text));
  return {
    leases: leases.map(({ source, interface: name, bootFile, rootPath, ...others }) => ({
      source,
      interface: name ?? null,
      bootFile: shown(bootFile),
      rootPath: shown(rootPath),
      tftpServer: others.tftpServer ?? null,
      nextServer: others.nextServer ?? null,
      gateway: others.gateway ?? null,
      dhcpServer: others.dhcpServer ?? null,
    })),
    dhcp:
      dhcp === undefined ? null : { url: withoutSecrets(dhcp.url), source: dhcp.source, field: dhcp.field },
    images: images.map(withoutSecrets),
  };
}

/** Where a file called NAME is: beside a URL, or in it. */
interface Place {
  readonly url: string;
  readonly kind: OriginKind;
}

function checkedName(name: string): string {
  if (!isUrlText(name)) {
    throw new RdpullError(
      'bad-url',
      `${quoted(name)} holds characters that a URL cannot`,
      'percent-encode the file name',
    );
  }
  const defect = placeholderDefect({ kind: 'bootorigin', name });
  if (defect === undefined) return name;
  throw new RdpullError('bad-url', `${quoted(name)} ${defect.what}`, defect.hint);
}

/** Where nvme+tcp: asks for a disk. A URL without a host is worth printing all the same. */
async function nvmeServers(url: string): Promise<readonly string[]> {
  const [{ nvmeServer }, { discoveryPorts }] = await Promise.all([
    import('../nvme/boot-server.ts'),
    import('../nvme/portal.ts'),
  ]);
  try {
    const host = nvmeServer(url);
    const nothing = { nqn: undefined, namespace: undefined };
    return discoveryPorts({ port: undefined }).map((port) => formatNvmeUrl({ host, port, ...nothing }));
  } catch (error) {
    if (!(error instanceof RdpullError)) throw error;
    return [];
  }
}

async function imageCalled(name: string, place: Place, signal: AbortSignal): Promise<readonly string[]> {
  const { imageUrls } = await import('../origin/image-url.ts');
  const { url, kind } = place;
  return imageUrls(await fillPlaceholders(name, { signal }, url), 'raw', url, kind);
}

/** What is looked for without a name. A boot URL that yields none is worth printing all the same. */
async function candidates({ url, kind }: Place, info: (text: string) => void): Promise<readonly string[]> {
  const { imageUrls } = await import('../origin/image-url.ts');
  try {
    return FILE_TYPES.flatMap((type) => imageUrls(undefined, type, url, kind));
  } catch (error) {
    if (!(error instanceof RdpullError)) throw error;
    info(error.message);
    return [];
  }
}
