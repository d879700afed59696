import { RdpullError } from '../console/rdpull-error.ts';
import { encodeLinkName } from '../request/device-link-name.ts';
import { formatNvmeUrl, type NvmeUrl } from '../request/nvme-url.ts';
import { chooseSubsystem, listed } from './choose-subsystem.ts';
import { type Connected, connectSubsystem, type Host } from './connect.ts';
import { announceDisk, deleteController, namespacesOf } from './controllers.ts';
import { claimDisks, forgetDisks, linkDisk, releaseDisks } from './device-links.ts';
import { discoverSubsystems } from './discover.ts';
import { type AttachedNamespace, findDisk, prepareDisk } from './namespace-disk.ts';
import { discoveryPorts, NVME_PORT, type Portal, portalOf } from './portal.ts';
import { resolveHost } from './resolve-host.ts';

/** What is to be attached. */
export interface NamespaceRequest {
  readonly url: NvmeUrl & { readonly host: string };
  /** What the image may be called, best first, where the server is asked what it has. */
  readonly names: readonly string[];
  /** The name below /dev/disk/by-loop-ref; undefined: none. */
  readonly loopRef: string | undefined;
  readonly readOnly: boolean;
  readonly host: Host;
}

/** A namespace that is attached, and how it was found. */
export interface FoundNamespace extends AttachedNamespace {
  /** With everything in it. */
  readonly url: string;
  readonly nqn: string;
}

/** How many of the places that a server names are tried: each may take the kernel two minutes, and there may be hundreds. */
const OTHERS_MAX = 4;

/** What it means that the kernel connects only without them. */
const WITHOUT_DIGESTS =
  'the server, or this kernel, has no digests over heads and data: what is damaged on the way is found by the checksums of TCP alone';

interface Attention {
  readonly warn: (text: string) => void;
  readonly detail: (text: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Connects this machine with a namespace, once, and makes its disk ready. After an error nothing stays connected that was not so before.
 *
 * @throws RdpullError host-unknown, and as {@link connectSubsystem}, {@link chooseSubsystem}, {@link findDisk} and {@link prepareDisk}
 */
export async function attachNamespace(
  request: NamespaceRequest,
  attention: Attention,
): Promise<FoundNamespace> {
  const { url, host } = request;
  const addresses = await resolveHost(url.host);
  const { nqn, portals } =
    url.nqn === undefined
      ? await discovered(request, addresses, attention)
      : { nqn: url.nqn, portals: portalsOf(addresses, [url.port ?? NVME_PORT]) };
  attention.signal.throwIfAborted();
  claimDisks(nqn, attention.warn);
  let connected: Connected | undefined;
  try {
    const { result, portal } = await firstOf(portals, (each) =>
      connectSubsystem(nqn, each, host, attention.signal),
    );
    connected = result;
    const found = formatNvmeUrl({ ...url, port: portal.port, nqn });
    if (connected.wasConnected) attention.warn(`${found} is connected already, and used as it is`);
    if (!connected.hasDigests) attention.warn(`${found}: ${WITHOUT_DIGESTS}`);
    return await exposed(request, nqn, connected.instance, found, attention);
  } catch (error) {
    if (connected?.wasConnected === false) deleteController(connected.instance);
    if (connected?.wasConnected !== true) forgetDisks(nqn);
    throw await withWhatThereIs(error, request, portals, attention.signal);
  } finally {
    releaseDisks(nqn);
    if (connected !== undefined) for (const { name } of namespacesOf(connected.instance)) announceDisk(name);
  }
}

async function exposed(
  { url, loopRef, readOnly }: NamespaceRequest,
  nqn: string,
  instance: number,
  found: string,
  attention: Attention,
): Promise<FoundNamespace> {
  const disk = await findDisk(instance, url.namespace, found, attention.signal);
  const attached = await prepareDisk(disk, readOnly, found, attention);
  if (loopRef !== undefined) linkDisk(nqn, disk.nsid, encodeLinkName(loopRef), attention.warn);
  return { ...attached, url: found, nqn };
}

/** Asks the server what it has, and where. */
async function discovered(
  { url, names, host }: NamespaceRequest,
  addresses: readonly string[],
  { detail, signal }: Attention,
): Promise<{ readonly nqn: string; readonly portals: readonly Portal[] }> {
  const asked = await firstOf(portalsOf(addresses, discoveryPorts(url)), (portal) =>
    discoverSubsystems(portal, host, signal),
  );
  const { portal, result } = asked;
  const nqns = result.map((each) => each.nqn);
  detail(
    `${formatNvmeUrl({ ...url, port: portal.port })} has ${nqns.length === 0 ? 'nothing' : listed(nqns)}`,
  );
  const nqn = chooseSubsystem(nqns, names, portal);
  // The way that was found leads there, through a forwarded port as well; what the log says is as the target sees itself.
  const others = result.filter((each) => each.nqn === nqn).flatMap((each) => portalOf(portal, each) ?? []);
  const own = [portal, { ...portal, port: url.port ?? NVME_PORT }];
  return { nqn, portals: distinct([...own, ...distinct(others).slice(0, OTHERS_MAX)]) };
}

function portalsOf(addresses: readonly string[], ports: readonly number[]): readonly Portal[] {
  return ports.flatMap((port) => addresses.map((address) => ({ address, port })));
}

function distinct(portals: readonly Portal[]): readonly Portal[] {
  return portals.filter(
    ({ address, port }, index) =>
      portals.findIndex((each) => each.address === address && each.port === port) === index,
  );
}

/** The first place where it works; of failures, the one that says most: a server that answers has said something. */
async function firstOf<T>(
  portals: readonly Portal[],
  action: (portal: Portal) => Promise<T>,
): Promise<{ readonly portal: Portal; readonly result: T }> {
  const failures: RdpullError[] = [];
  for (const portal of portals) {
    try {
      return { portal, result: await action(portal) };
    } catch (error) {
      if (!(error instanceof RdpullError) || ENDS_ALL.has(error.code)) throw error;
      failures.push(error);
    }
  }
  const telling = failures.find(({ code }) => code.startsWith('nvme-')) ?? failures[0];
  if (telling === undefined) throw new Error('there is no server to ask');
  throw telling;
}

/** What is not otherwise at another port. */
const ENDS_ALL: ReadonlySet<string> = new Set([
  'not-root',
  'nvme-missing',
  'internal',
  'credential-unusable',
]);

/** Where a server does not have what was asked for, the message says what it has. */
async function withWhatThereIs(
  error: unknown,
  { host }: NamespaceRequest,
  portals: readonly Portal[],
  signal: AbortSignal,
): Promise<unknown> {
  if (!(error instanceof RdpullError) || error.code !== 'nvme-subsystem-unknown') return error;
  try {
    const { result } = await firstOf(portals, (portal) => discoverSubsystems(portal, host, signal));
    const nqns = [...new Set(result.map(({ nqn }) => nqn))];
    const what = nqns.length === 0 ? 'it has nothing for this machine' : `it has ${listed(nqns)}`;
    return new RdpullError(error.code, `${error.message}; ${what}`, error.hint, { cause: error });
  } catch {
    return error;
  }
}
