import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import type { BootOrigin } from '../origin/boot-origin.ts';
import type { DhcpOrigin } from '../origin/dhcp/dhcp-origin.ts';
import type { OriginKind } from '../origin/image-url.ts';
import {
  expandPlaceholders,
  NETWORK_PLACEHOLDERS,
  type NetworkPlaceholder,
  type Placeholder,
  placeholdersIn,
} from '../request/placeholder.ts';
import type { DhcpUse, PullRequest } from '../request/pull-request.ts';
import { replaceComponents } from '../request/url.ts';
import { splitZone } from '../source/link-local.ts';
import { splitLogin } from '../source/login.ts';
import type { Absence } from '../source/open-source.ts';
import { isOthersFailure } from '../source/passing.ts';
import type { Pools } from '../source/pools.ts';
import type { Location, Patience } from '../source/source.ts';
import type { Identity, ServerAccess } from './server-access.ts';

export interface FindOptions extends ServerAccess {
  readonly signal: AbortSignal;
  readonly patience?: Patience;
  /** Keeps connections for the requests to come. */
  readonly pools?: Pools;
  /** Takes a line about what should be put right. */
  warn(text: string): void;
  /** Takes lines for `--verbose`. */
  detail(text: string): void;
  /** Where the machine was booted from; without it, the EFI variables say so. */
  readonly bootUrl?: string | undefined;
  /** What stands for placeholders; this machine itself says what is not in here. */
  readonly placeholders?: ReadonlyMap<Placeholder, string>;
}

type OriginOptions = Pick<FindOptions, 'identity' | 'bootUrl' | 'patience' | 'signal' | 'detail'>;
type FillOptions = Pick<FindOptions, 'patience' | 'signal' | 'placeholders'>;

/**
 * Where to pull from: {@link findPullUrl}, and the mirrors of the request, in this order.
 *
 * @returns nothing when the request is for the boot origin and the machine was not booted over HTTP
 * @throws RdpullError as {@link findPullUrl}, when there is no mirror
 */
export async function findLocations(request: PullRequest, options: FindOptions): Promise<Location[]> {
  const mirrors: Location[] = [];
  for (const mirror of request.mirrors) {
    try {
      const { patience: _, ...once } = options;
      mirrors.push(
        await withIdentity(await fillPlaceholders(mirror, once), onlyNamed(options.identity), options.warn),
      );
    } catch (error) {
      if (!isOthersFailure(error)) throw error;
      options.warn(`the mirror ${shownUrl(mirror)} is left out: ${error.message}`);
    }
  }
  try {
    const found = await findPullUrl(request, options);
    return found === undefined ? [] : [found, ...mirrors];
  } catch (error) {
    if (!isOthersFailure(error) || mirrors.length === 0) throw error;
    options.warn(`${error.message}; going on with the mirrors`);
    return mirrors;
  }
}

/**
 * The URL that a request means on this machine: its own, or the file beside what the machine was booted from; with
 * its placeholders replaced.
 *
 * @returns undefined when the request is for the boot origin alone and the machine was not booted over HTTP
 * @throws RdpullError dhcp-lease-missing, dhcp-url-missing; bad-url, http-not-found or http-forbidden when no image lies beside the UKI, and those of `openSource`
 */
async function findPullUrl(
  { remote, type }: PullRequest,
  options: FindOptions,
): Promise<Location | undefined> {
  if (remote.kind === 'url')
    return withIdentity(await fillPlaceholders(remote.url, options), options.identity, options.warn);
  if (remote.kind === 'registry') throw new Error('a container image is found by its registry');
  if (remote.kind === 'nvme') throw new Error('a disk on an NVMe server is not pulled');
  const origin = await findOrigin(remote.dhcp, options);
  if (origin === undefined) return undefined;
  const { url: bootUrl, kind, identity } = origin;
  const { imageUrls } = await import('../origin/image-url.ts');
  const name = remote.name === undefined ? undefined : await fillPlaceholders(remote.name, options, bootUrl);
  const urls = imageUrls(name, type, bootUrl, kind);
  const candidates = await Promise.all(urls.map((url) => withIdentity(url, identity, options.warn)));
  const [only, ...others] = candidates;
  if (only !== undefined && others.length === 0) return only;
  const forbidden: Location[] = [];
  for (const candidate of candidates) {
    const absence = await absenceOf(candidate, options);
    if (absence === undefined) return candidate;
    if (absence === 'forbidden (403)') forbidden.push(candidate);
  }
  throw noneOf(candidates, forbidden);
}

/** What the image lies beside, or in, and what its server may be shown. */
export interface Origin {
  readonly url: string;
  readonly kind: OriginKind;
  readonly identity: Identity;
}

/**
 * Where the machine was booted from, or DHCP says that it is to boot from.
 *
 * @throws RdpullError dhcp-lease-missing, dhcp-url-missing, bad-url, file-unreadable
 */
export async function findOrigin(
  dhcp: DhcpUse | undefined,
  options: OriginOptions,
): Promise<Origin | undefined> {
  const { identity, detail } = options;
  const bootUrl = options.bootUrl ?? (dhcp === 'only' ? undefined : (await readBootOrigin(detail))?.url);
  if (bootUrl !== undefined) return { url: bootUrl, kind: 'uki', identity };
  if (dhcp === undefined) return undefined;
  const { url, kind, source, field } = await awaitDhcpOrigin(options);
  detail(`dhcporigin: ${shownUrl(url)} is the ${field} of ${source}`);
  // Whoever answers first on the network decides which server this is.
  return { url, kind, identity: onlyNamed(identity) };
}

/**
 * What DHCP says of where to boot from, as soon as there is a lease.
 *
 * @throws RdpullError dhcp-lease-missing, dhcp-url-missing
 */
async function awaitDhcpOrigin(options: OriginOptions): Promise<DhcpOrigin> {
  const [{ readDhcpLeases }, { requireDhcpOrigin }, { patiently }] = await Promise.all([
    import('../origin/dhcp/dhcp-leases.ts'),
    import('../origin/dhcp/dhcp-origin.ts'),
    import('../source/patience.ts'),
  ]);
  return patiently(
    'dhcporigin',
    async () => requireDhcpOrigin(await readDhcpLeases(options.detail)),
    options,
  );
}

/**
 * Where the chunks of an image lie whose index lies at `locations`: where the request says, in this order, else beside the index.
 *
 * @throws RdpullError as {@link findPullUrl}, when none can be named
 */
export async function findStores(
  { stores }: PullRequest,
  locations: readonly Location[],
  options: FindOptions,
): Promise<readonly Location[]> {
  if (stores.length === 0) {
    const { DEFAULT_STORE } = await import('../chunks/chunk-stores.ts');
    return locations.map(({ url, ...server }) => ({
      ...server,
      url: replaceComponents(url, 1, DEFAULT_STORE),
    }));
  }
  const [first] = locations;
  return await Promise.all(
    stores.map(async (text) => {
      const store = await withIdentity(
        await fillPlaceholders(text, options),
        onlyNamed(options.identity),
        options.warn,
      );
      // What the server of the index is shown, it is shown for its chunks, too.
      const isSame = first !== undefined && originOf(first.url) === originOf(store.url);
      return store.login === undefined && isSame ? { ...first, url: store.url } : store;
    }),
  );
}

/** The server of a URL; undefined for a file. */
function originOf(url: string): string | undefined {
  const origin = URL.parse(url)?.origin;
  return origin === 'null' ? undefined : origin;
}

/** What says how a file is packed. */
const PACKED = /\.(?:xz|zst|gz|bz2|caibx)$/;

/**
 * As which files an image may be served that the firmware has put into memory: that which it was booted from, unless that is a UKI, and
 * that of the request, unpacked. Each with the mirrors where it lies as well.
 *
 * @throws RdpullError as {@link findPullUrl}
 */
export async function findServedAs(
  { remote, type, mirrors }: PullRequest,
  options: FindOptions,
): Promise<readonly (readonly Location[])[]> {
  const unpacked = (url: string) => url.replace(PACKED, '');
  if (remote.kind === 'url') {
    const others = onlyNamed(options.identity);
    const urls = await Promise.all([remote.url, ...mirrors].map((url) => fillPlaceholders(url, options)));
    const locations = urls.map((url, index) =>
      withIdentity(unpacked(url), index === 0 ? options.identity : others, options.warn),
    );
    return [await Promise.all(locations)];
  }
  if (remote.kind !== 'bootorigin') return [];
  const origin = await findOrigin(remote.dhcp, options);
  if (origin === undefined) return [];
  const { url, kind, identity } = origin;
  const { imageUrls } = await import('../origin/image-url.ts');
  const isUki = kind === 'directory' || /\.efi(?:[?#]|$)/i.test(url);
  const name = remote.name === undefined ? undefined : await fillPlaceholders(remote.name, options, url);
  const beside = name !== undefined || isUki ? imageUrls(name, type, url, kind).slice(-1) : [];
  const urls = [...(isUki ? [] : [url]), ...beside.map(unpacked)];
  return Promise.all(urls.map(async (each) => [await withIdentity(each, identity, options.warn)]));
}

/** None of the names that an image may have is there, as far as the server says. */
function noneOf(candidates: readonly Location[], forbidden: readonly Location[]): RdpullError {
  const listed = (locations: readonly Location[]) => locations.map(({ url }) => shownUrl(url)).join(', ');
  const hint =
    'put the image beside the UKI under one of these names, or name it behind the second colon of the expression';
  if (forbidden.length === 0)
    return new RdpullError('http-not-found', `none of these is on the server: ${listed(candidates)}`, hint);
  return new RdpullError(
    'http-forbidden',
    `the server gives none of these: ${listed(candidates)}; it forbids (403) ${forbidden.length === candidates.length ? 'all of them' : listed(forbidden)}`,
    `check the permissions on the server; object stores say so of what is not there, too: ${hint}`,
  );
}

/** Of what opens the server of a request, what is for its mirrors, too, and for servers that DHCP names: only what names them. */
function onlyNamed({ secrets }: Identity): Identity {
  const named = secrets.filter(({ origin, isAsked }) => origin !== undefined && !isAsked);
  return { secrets: named, clientCertificate: undefined };
}

/**
 * What the server of a URL is to be shown: it, and no other.
 *
 * @throws RdpullError bad-option when something was asked for that cannot be sent there
 */
export async function withIdentity(
  text: string,
  { secrets, clientCertificate }: Identity,
  warn: (text: string) => void,
): Promise<Location> {
  const { loginFor } = await import('../source/server-login.ts');
  const { url: bare, zone } = splitZone(text);
  const { url, login } = loginFor(bare, secrets, warn);
  if (clientCertificate === undefined) return { url, login, zone, clientCertificate };
  if (!url.startsWith('https:') || !URL.canParse(url)) {
    throw new RdpullError(
      'bad-option',
      `--cert=FILE is for https, and ${shownUrl(url)} is not`,
      'use an https URL, or leave out --cert=FILE',
    );
  }
  return { url, login, zone, clientCertificate: { ...clientCertificate, origin: new URL(url).origin } };
}

/**
 * Where this machine was booted from; efivarfs is mounted first if it is not.
 *
 * @throws RdpullError bad-url, file-unreadable
 */
export async function readBootOrigin(detail: (text: string) => void): Promise<BootOrigin | undefined> {
  const [{ findBootOrigin }, { mountEfivarfs }] = await Promise.all([
    import('../origin/boot-origin.ts'),
    import('../origin/efivarfs.ts'),
  ]);
  await mountEfivarfs(detail);
  return findBootOrigin();
}

/**
 * Replaces the placeholders of a URL, or of a file name beside `bootUrl`, by what this machine is.
 *
 * @throws RdpullError bad-url when one stands for nothing here, and of the network family when {mac} needs a server
 *   that there is no way to
 */
export async function fillPlaceholders(
  unfilled: string,
  options: FillOptions,
  bootUrl?: string,
): Promise<string> {
  const { placeholders } = options;
  const text = placeholders === undefined ? unfilled : expandPlaceholders(unfilled, placeholders);
  const asked = placeholdersIn(text);
  if (asked.size === 0) return text;
  const { identify } = await import('../origin/machine-identity.ts');
  const values = new Map<Placeholder, string>();
  for (const placeholder of asked) {
    if (isNetworkPlaceholder(placeholder))
      values.set(placeholder, await networkAddress(placeholder, options));
    else if (placeholder !== 'mac') values.set(placeholder, identify(placeholder));
  }
  const filled = expandPlaceholders(text, values);
  if (!asked.has('mac')) return filled;
  return expandPlaceholders(
    filled,
    new Map<Placeholder, string>([['mac', await macTowards(bootUrl ?? filled, options)]]),
  );
}

function isNetworkPlaceholder(placeholder: Placeholder): placeholder is NetworkPlaceholder {
  return NETWORK_PLACEHOLDERS.some((each) => each === placeholder);
}

/** The gateway, or who has given the lease, as soon as the network is up. */
async function networkAddress(placeholder: NetworkPlaceholder, options: FillOptions): Promise<string> {
  const [{ addressOf }, { patiently }] = await Promise.all([
    import('../origin/dhcp/network-address.ts'),
    import('../source/patience.ts'),
  ]);
  return patiently(`{${placeholder}}`, () => addressOf(placeholder), options);
}

/** The address of the interface that reaches the server of a URL, as file names have it: `52-54-00-12-34-56`. */
async function macTowards(serverUrl: string, options: FillOptions): Promise<string> {
  const [{ findServerInterface }, { noValue }, { networkError }, { patiently }] = await Promise.all([
    import('../origin/server-interface.ts'),
    import('../origin/machine-identity.ts'),
    import('../source/network-error.ts'),
    import('../source/patience.ts'),
  ]);
  const { url: bare, zone } = splitZone(serverUrl);
  const { url } = splitLogin(bare);
  if (!URL.canParse(url)) {
    throw new RdpullError(
      'bad-url',
      `${shownUrl(url)} is not a URL`,
      'write it as http://HOST/FILE or https://HOST/FILE',
    );
  }
  const { hostname } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, zone === undefined ? '$1' : `$1%${zone}`);
  const found = await patiently(
    url,
    () =>
      findServerInterface(host).catch((error) => {
        throw networkError(shownUrl(url), error);
      }),
    options,
  );
  if (found?.mac !== undefined) return found.mac.replaceAll(':', '-');
  throw noValue(
    'mac',
    `${host} is reached by ${found?.name ?? 'an interface'}, which has no hardware address`,
  );
}

/** @returns undefined for a file that is there */
async function absenceOf({ url, ...server }: Location, options: FindOptions): Promise<Absence | undefined> {
  // Only here is it needed before the transfer is: it opens the way into libc.
  const { openSource } = await import('../source/open-source.ts');
  // Hanging up in the middle of a file leaves a backtrace on the screen of `mkosi serve`, so the head is asked for first; what
  // a server makes of that is only believed when it is good news, or that there is no such file.
  const { patience: _, ...once } = options;
  for (const how of [{ ...once, headOnly: true }, options]) {
    try {
      const source = await openSource(url, { ...how, ...server });
      source.close();
      return undefined;
    } catch (error) {
      options.signal.throwIfAborted();
      if (!isOthersFailure(error)) throw error;
      if (error.code === 'http-not-found') return 'not found';
      if (error.code === 'http-forbidden') return 'forbidden (403)';
      if (how === options) throw error;
    }
  }
  return 'not found';
}
