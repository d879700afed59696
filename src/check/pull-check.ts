import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { quotedUrl, shownUrl } from '../console/shown-url.ts';
import { type PlannedPull, ROOT_LINK } from '../generator/planned-pull.ts';
import { ARCHITECTURES } from '../request/architecture.ts';
import { isChunkIndexUrl, stripImageSuffixes } from '../request/image-name.ts';
import type { OciReference } from '../request/oci-reference.ts';
import { PLACEHOLDERS, type Placeholder, placeholdersIn } from '../request/placeholder.ts';
import type { PullRequest } from '../request/pull-request.ts';
import { remoteText } from '../request/pull-request.ts';
import { lastComponent } from '../request/url.ts';
import { formatVerifyMode } from '../request/verify-mode.ts';
import type { Location, SourceOptions } from '../source/source.ts';
import type { ExpectedSize } from '../transfer/expected-size.ts';
import { DEFAULT_LIMITS } from '../transfer/limits.ts';
import { type Demand, findPromise, type Promised } from '../transfer/promise.ts';
import { inspectFileSystem } from '../transfer/room/file-system.ts';
import { describeSigner } from '../verify/signer.ts';
import { checkMemory } from './boot-memory.ts';
import type { Trust } from './boot-trust.ts';
import type { Boot, BootedUki } from './booted-system.ts';
import { checkCache } from './cache-check.ts';
import type { BootCheck } from './check-request.ts';
import { checkChunkedImage } from './chunked-image-check.ts';
import { type Findings, found, foundAtOne } from './finding.ts';
import { checkOnDemand } from './on-demand-check.ts';
import { checkCertificate, checkImage, type OfferedImage } from './server.ts';
import { checkFileSystem } from './uki-content.ts';

/** What can lie beside an image (systemd-dissect(1), veritytab(5)). */
const SIDE_FILES = ['.roothash', '.roothash.p7s', '.verity'];

/** What would be pulled, for `--json`. */
export interface CheckedPull {
  readonly unit: string;
  readonly target: string;
  readonly isRoot: boolean;
  readonly type: string;
  readonly class: string;
  readonly verify: string;
  /** Without a login; none when they are not known. */
  readonly urls: readonly string[];
  /** Bytes as served, and after decompression; null when they are not known. */
  readonly size: number | null;
  readonly uncompressed: number | null;
  readonly promised: Promised | null;
}

/**
 * Follows one pull as far as the image itself: finds its places, asks their servers, checks what vouches for it, and looks
 * whether there is room.
 *
 * @param others bytes that the images before it take
 * @throws RdpullError internal; the reason of the signal
 */
export async function checkPull(
  check: BootCheck,
  { uki, commandLine }: Boot,
  pull: PlannedPull,
  trust: Trust,
  others: number,
  findings: Findings,
): Promise<CheckedPull> {
  const { request } = pull;
  const access: SourceOptions = { ...check.access, ca: trust.ca };
  const step: Step = { check, uki, pull, trust, access, findings };
  const begun = nothingKnown(pull);
  const { remote } = request;
  if (remote.kind === 'registry') {
    return (await checkRegistryPull(step, remote.reference, others)) ?? begun;
  }
  if (remote.kind === 'nvme') {
    const { checkNvmeServer } = await import('./nvme-check.ts');
    const url = await checkNvmeServer(remote.url, check.bootUrlFor(remote), access.signal, findings);
    return { ...begun, urls: url === undefined ? [] : [url] };
  }
  if (request.remote.kind === 'bootorigin' && check.bootUrlFor(request.remote) === undefined) return begun;
  const locations = await locate(step);
  if (locations === undefined) return begun;
  const resolved = { ...begun, urls: locations.map(({ url }) => shownUrl(url)) };
  if (!(await isAnybodyTrusted(step, locations))) return resolved;

  const demand = await findVoucher(step, locations);
  const promised = demand?.promised;
  const stores = await findStores(step, locations);
  if (stores === undefined) return { ...resolved, promised: promised ?? null };
  checkCache(findings, { pull, directory: check.cache, promised, isChunked: stores.length > 0 });
  const offered = await findOffer(step, { locations, stores }, demand);
  if (offered === undefined) return { ...resolved, promised: promised ?? null };
  const { size, expected, fileSystem } = offered;
  if (fileSystem !== undefined && uki?.initrd !== undefined) {
    checkFileSystem(findings, uki.initrd, fileSystem, uki.release);
  }
  if (request.onDemand !== undefined && demand !== undefined) {
    const { onDemand, verify } = request;
    const rootLink = pull.isRoot ? ROOT_LINK : undefined;
    const question = {
      ...{ locations, stores, seeds: [], limits: DEFAULT_LIMITS },
      verify,
      target: pull.object.path,
      commandLine,
      rootLink,
      inInitrd: pull.object.path.startsWith('/run/'),
    };
    await found(findings, 'image', access.signal, () =>
      checkOnDemand(findings, onDemand, question, demand, access),
    );
  }
  checkRoom(step, expected, others);
  return {
    ...resolved,
    promised: promised ?? null,
    size: size ?? null,
    uncompressed: expected.uncompressed || null,
  };
}

/** What all steps of a check look at. */
interface Step {
  readonly check: BootCheck;
  readonly uki: BootedUki | undefined;
  readonly pull: PlannedPull;
  readonly trust: Trust;
  readonly access: SourceOptions;
  readonly findings: Findings;
}

function nothingKnown({ request, object, unit, isRoot }: PlannedPull): CheckedPull {
  return {
    unit,
    target: object.path,
    isRoot,
    type: request.type,
    class: request.imageClass,
    verify: formatVerifyMode(request.verify),
    urls: [],
    size: null,
    uncompressed: null,
    promised: null,
  };
}

/** A container image is asked for as it is at boot, but for its layers. */
async function checkRegistryPull(
  step: Step,
  reference: OciReference,
  others: number,
): Promise<CheckedPull | undefined> {
  const { check, uki, pull, trust, access, findings } = step;
  const { checkContainerImage } = await import('./container-image-check.ts');
  const { verify } = pull.request;
  const { root } = trust;
  const question = { reference, verify, root, architecture: uki?.architecture, identify: check.identify };
  const offered = await checkContainerImage(question, access, findings);
  if (offered === undefined) return undefined;
  const { image, served, expected, promised: digest } = offered;
  checkRoom(step, expected, others);
  return {
    ...nothingKnown(pull),
    urls: [image.name],
    promised: digest === undefined ? null : { digest, manifestUrl: undefined, signedBy: undefined },
    size: served,
    uncompressed: expected.uncompressed || null,
  };
}

/** Where the image lies; undefined when nobody knows. */
async function locate({
  check,
  uki,
  pull: { request },
  access,
  findings,
}: Step): Promise<readonly Location[] | undefined> {
  sayPlaceholders(request, uki, findings);
  const locations = await found(findings, 'url', access.signal, () =>
    check.locate(request, access, knownOf(uki)),
  );
  if (locations === undefined || locations.length === 0) return undefined;
  findings.ok('url', locations.map(({ url }) => shownUrl(url)).join(', '));
  return locations;
}

/** Whether somebody is left who can be asked: a server without TLS, or one whose certificate holds. */
async function isAnybodyTrusted(
  { access, findings }: Step,
  locations: readonly Location[],
): Promise<boolean> {
  const asked = locations.filter((location) => location.url.startsWith('https:'));
  const trusted = await foundAtOne(findings, 'tls', access.signal, asked, (location) =>
    checkCertificate(findings, location, access),
  );
  return trusted.length > 0 || asked.length < locations.length;
}

/** What vouches for the image. */
async function findVoucher(
  { check, pull: { request }, trust: { root, keyrings, certificates }, access, findings }: Step,
  locations: readonly Location[],
): Promise<Demand | undefined> {
  const demand = await found(findings, 'checksum', access.signal, () =>
    findPromise(
      locations,
      { verify: request.verify, keyrings, certificates, ...(root !== undefined && { root }) },
      access,
      (text) => check.detail(root === undefined ? text : text.replaceAll(root, '')),
    ),
  );
  if (demand === undefined) return undefined;
  sayPromise(request, demand.promised, locations, root !== undefined, findings);
  const [first] = locations;
  if (first !== undefined && demand.promised !== undefined && request.type === 'raw') {
    saySideFiles(first.url, demand.digestOf, findings);
  }
  return demand;
}

/** Where the chunks of an image lie: nowhere, where it is a file; undefined when nobody knows. */
async function findStores(
  { check, uki, pull: { request }, access, findings }: Step,
  locations: readonly Location[],
): Promise<readonly Location[] | undefined> {
  if (!isChunkIndexUrl(locations[0]?.url ?? '')) return [];
  const stores = await found(findings, 'url', access.signal, () =>
    check.findStores(request, locations, access, knownOf(uki)),
  );
  if (stores !== undefined)
    findings.ok('url', `its chunks: ${stores.map(({ url }) => shownUrl(url)).join(', ')}`);
  return stores;
}

/** What the first server that has the image says of it. */
async function findOffer(
  { uki, pull: { request, isRoot }, access, findings }: Step,
  { locations, stores }: { readonly locations: readonly Location[]; readonly stores: readonly Location[] },
  demand: Demand | undefined,
): Promise<OfferedImage | undefined> {
  const use = {
    type: request.type === 'raw' ? ('raw' as const) : ('tar' as const),
    isRoot,
    blockdev: request.blockdev,
    architecture: uki?.architecture ?? process.arch,
  };
  const isPromised = demand?.promised !== undefined;
  if (stores.length > 0) {
    // An index that nothing vouches for says nothing of the image.
    if (demand === undefined) return undefined;
    return await found(findings, 'server', access.signal, () =>
      checkChunkedImage(findings, { locations, stores }, demand, access, use),
    );
  }
  const [offered] = await foundAtOne(findings, 'server', access.signal, locations, (location) =>
    checkImage(findings, location, { ...access, isPromised }, use),
  );
  return offered;
}

/** Whether there is room for the image where it will lie. */
function checkRoom(
  { check: { ram, isOwnRam: isOwn }, uki, pull: { request, object }, findings }: Step,
  expected: ExpectedSize,
  others: number,
): void {
  if (!object.path.startsWith('/run/')) {
    checkDisk(object.directory, expected.occupied, findings);
    return;
  }
  const machine = { ram, isOwn, initrd: uki?.initrd?.unpacked, others };
  const { type, overcommit } = request;
  checkMemory(findings, machine, expected, { type, overcommit });
}

/** What a UKI says of the machine that boots it. */
function knownOf(uki: BootedUki | undefined): ReadonlyMap<Placeholder, string> {
  const known = new Map<Placeholder, string>();
  const architecture = ARCHITECTURES[uki?.architecture ?? ''];
  if (architecture !== undefined) known.set('arch', architecture);
  if (uki?.release !== undefined) known.set('kernel', uki.release);
  return known;
}

function sayPlaceholders(
  { remote, mirrors, stores }: PullRequest,
  uki: BootedUki | undefined,
  findings: Findings,
): void {
  const text = [remoteText(remote), ...mirrors, ...stores].join(' ');
  const used = PLACEHOLDERS.filter((each) => placeholdersIn(text).has(each) && !knownOf(uki).has(each));
  if (used.length === 0) return;
  findings.ok(
    'url',
    `${used.map((each) => `{${each}}`).join(', ')} in the URL: of this machine, where --placeholder=NAME=VALUE does not say otherwise`,
  );
}

function sayPromise(
  { verify }: PullRequest,
  promised: Promised | undefined,
  locations: readonly Location[],
  trustsInitrd: boolean,
  findings: Findings,
): void {
  if (promised === undefined) {
    const plain = locations.some(({ url }) => url.startsWith('http:'));
    findings.warn(
      'checksum',
      plain
        ? 'verify=no over plain http: whoever is on the network can put another image in place of this one'
        : 'verify=no: nothing vouches for the image but the server',
      'sign a checksum file, and leave out verify=no',
    );
    return;
  }
  const { manifestUrl, signedBy, digest } = promised;
  if (manifestUrl === undefined) {
    findings.ok('checksum', `the image must have the SHA-256 ${digest}, which the expression says`);
  } else if (signedBy === undefined) {
    findings.warn(
      'checksum',
      `${manifestUrl} lists the SHA-256 ${digest}, and nobody has to sign it (verify=${formatVerifyMode(verify)}): whoever controls the server can change both`,
    );
  } else {
    findings.ok('checksum', `${manifestUrl} lists the SHA-256 ${digest}`);
    findings.ok(
      'checksum',
      `signed ${describeSigner(signedBy)}${trustsInitrd ? ', whom the initrd trusts' : ''}`,
    );
  }
}

/** Files for dm-verity that the checksum file names, and that are therefore fetched when the image needs them. */
function saySideFiles(url: string, digestOf: (name: string) => string | undefined, findings: Findings): void {
  const stem = stripImageSuffixes(lastComponent(url) ?? '', 'raw');
  const listed = SIDE_FILES.map((suffix) => stem + suffix).filter((name) => digestOf(name) !== undefined);
  if (listed.length === 0) return;
  findings.ok(
    'checksum',
    `it also lists ${listed.map(quotedUrl).join(', ')}: fetched where the image has no dm-verity of its own`,
  );
}

function checkDisk(directory: string, bytes: number, findings: Findings): void {
  let existing = directory;
  while (!fs.existsSync(existing)) existing = path.posix.dirname(existing);
  const { free } = inspectFileSystem(existing);
  if (bytes > free) {
    findings.fail(
      'memory',
      new RdpullError(
        'no-room',
        `the image takes ${bytes} bytes, and the file system of ${printable(directory)} has room for ${free}`,
        'make room there',
      ),
    );
  } else findings.ok('memory', `${printable(directory)} has room for it on this machine`);
}
