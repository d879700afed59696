import fs from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { printable, quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { quotedUrl, shownUrl } from '../console/shown-url.ts';
import { quoteWord, readGeneratorInput } from '../generator/generator-input.ts';
import type { PlannedPull } from '../generator/planned-pull.ts';
import { awaitedDevice, comesFrom } from '../generator/root-device.ts';
import { rootParameters } from '../generator/root-parameters.ts';
import { type GeneratorInput, planPulls } from '../generator/unit-plan.ts';
import { ARCHITECTURES } from '../origin/machine-identity.ts';
import { stripImageSuffixes } from '../request/image-name.ts';
import { PLACEHOLDERS, type Placeholder, placeholdersIn } from '../request/placeholder.ts';
import type { PullRequest } from '../request/pull-request.ts';
import { lastComponent } from '../request/url.ts';
import { formatVerifyMode } from '../request/verify-mode.ts';
import { findPromise, type Promised } from '../transfer/promise.ts';
import { inspectFileSystem } from '../transfer/room/file-system.ts';
import type { Location, SourceOptions } from '../transfer/source/source.ts';
import { openUki } from '../uki/uki.ts';
import { describeSigner } from '../verify/signer.ts';
import { checkMemory } from './boot-memory.ts';
import { createFindings, type Finding, type Findings, found, foundAtOne } from './finding.ts';
import { type InitrdContent, readInitrdContent, ScratchDirectory } from './initrd-content.ts';
import { checkOwnKernel } from './running-kernel.ts';
import { checkCertificate, checkImage, checkServedUki } from './server.ts';
import { asksForPull, type Subject } from './subject.ts';
import { authoritiesBelow, checkFileSystem, checkProgram, checkSurroundings } from './uki-content.ts';

/** The longest command line that the kernel keeps, in bytes: COMMAND_LINE_SIZE of x86 and ARM64, less its NUL. */
const COMMAND_LINE_MAX = 2047;

const SYSTEM_CREDENTIALS = {
  CREDENTIALS_DIRECTORY: '/run/credentials/@system',
  ENCRYPTED_CREDENTIALS_DIRECTORY: '/run/credentials/@encrypted',
};

/** What can lie beside an image (systemd-dissect(1), veritytab(5)). */
const SIDE_FILES = ['.roothash', '.roothash.p7s', '.verity'];

/** What a check is made with. */
export interface BootCheck {
  readonly subject: Subject;
  /** Where the machine will have been booted from; undefined when nobody says so. */
  readonly bootUrl: string | undefined;
  /** RAM of the machine that will boot, in bytes. */
  readonly ram: number;
  readonly isOwnRam: boolean;
  /** Named on the command line, in place of what the boot would use. */
  readonly keyrings: readonly string[];
  readonly certificates: readonly string[];
  /** How servers are asked: once. */
  readonly access: SourceOptions;
  /**
   * Finds the places that a request means, asking the server where it has to.
   *
   * @param known what stands for placeholders on the machine that boots, as far as that is known
   */
  locate(
    request: PullRequest,
    access: SourceOptions,
    known: ReadonlyMap<Placeholder, string>,
  ): Promise<readonly Location[]>;
  /** A URL, and what its server is shown. */
  identify(url: string): Promise<Location>;
  /** Takes lines for `--verbose`. */
  detail(text: string): void;
}

/** What would be pulled, for `--json`. */
export interface CheckedPull {
  readonly unit: string;
  readonly target: string;
  readonly isRoot: boolean;
  readonly type: string;
  readonly class: string;
  readonly verify: string;
  /** Without a login; null when they are not known. */
  readonly urls: readonly string[];
  /** Bytes as served, and after decompression; null when they are not known. */
  readonly size: number | null;
  readonly uncompressed: number | null;
  readonly promised: Promised | null;
}

export interface CheckResult {
  readonly findings: readonly Finding[];
  readonly pulls: readonly CheckedPull[];
}

/** What is read of the boot before anything is planned. */
interface Boot {
  readonly commandLine: string;
  readonly credential: GeneratorInput['credential'];
  readonly uki: BootedUki | undefined;
}

interface BootedUki {
  readonly file: string;
  readonly size: number;
  readonly release: string | undefined;
  readonly architecture: 'x64' | 'arm64' | undefined;
  /** undefined when it could not be read, or is not there. */
  readonly initrd: InitrdContent | undefined;
}

/**
 * Does what a boot would do as far as that changes nothing and downloads no image, and finds out what would come of it.
 *
 * @throws RdpullError internal, and of the usage family when there is nothing to check
 */
export async function checkBoot(check: BootCheck): Promise<CheckResult> {
  const findings = createFindings();
  const { signal } = check.access;
  const stage = check.subject.kind === 'uki' ? 'uki' : 'command line';
  const boot = await found(findings, stage, signal, () => readBoot(check, findings));
  const pulls: CheckedPull[] = [];
  if (boot === undefined) return { findings: findings.all, pulls };
  // Only what a UKI holds has to lie somewhere to be used.
  using scratch =
    boot.uki?.initrd === undefined
      ? undefined
      : await found(findings, 'initrd', signal, async () => new ScratchDirectory());
  const trust = await found(findings, 'initrd', signal, async () =>
    trustOf(check, boot, scratch?.path, findings),
  );
  if (trust === undefined || (boot.uki?.initrd !== undefined && scratch === undefined)) {
    return { findings: findings.all, pulls };
  }
  for (const inInitrd of [true, false]) {
    const planned = plan(boot, inInitrd, findings);
    if (planned.length === 0) continue;
    const requests = planned.map(({ request }) => request);
    if (inInitrd) checkNeeds(boot, requests, findings);
    if (requests.some(({ remote }) => remote.kind === 'bootorigin')) await checkOrigin(check, boot, findings);
    for (const pull of planned) {
      const others = pulls.reduce(
        (bytes, { target, uncompressed, size }) =>
          bytes + (target.startsWith('/run/') ? (uncompressed ?? size ?? 0) : 0),
        0,
      );
      pulls.push(await checkPull(check, boot, pull, trust, others, findings));
    }
  }
  return { findings: findings.all.map((each) => withoutRoot(each, trust.root)), pulls };
}

async function readBoot({ subject }: BootCheck, findings: Findings): Promise<Boot> {
  switch (subject.kind) {
    case 'machine': {
      const { commandLine, credential } = readGeneratorInput(
        { ...SYSTEM_CREDENTIALS, ...process.env, SYSTEMD_VIRTUALIZATION: '' },
        (text) => findings.warn('command line', text),
      );
      if (asksForPull(commandLine) || credential !== undefined) {
        findings.ok('command line', `that of this machine: ${shownLine(commandLine)}`);
        return { commandLine, credential, uki: undefined };
      }
      throw new RdpullError(
        'bad-argument',
        'the kernel command line of this machine asks for no pull',
        'name what is to be checked: a UKI, an expression, or a command line with rd.systemd.pull=',
      );
    }
    case 'uki':
      return await readUki(subject.file, findings);
    case 'command line':
      findings.ok('command line', shownLine(subject.text));
      return { commandLine: subject.text, credential: undefined, uki: undefined };
    case 'url':
    case 'expression': {
      const expression = subject.kind === 'url' ? expressionFor(subject.url) : subject.text;
      findings.ok('command line', `rd.systemd.pull=${shownUrl(expression)}`);
      return {
        commandLine: `rd.systemd.pull=${quoteWord(expression)}`,
        credential: undefined,
        uki: undefined,
      };
    }
  }
}

/** What pulls a URL at boot. */
function expressionFor(url: string): string {
  let name = '';
  try {
    name = lastComponent(url) ?? '';
  } catch (error) {
    // Parsing the expression says what is wrong with the URL.
    if (!(error instanceof RdpullError)) throw error;
  }
  const isTar = /\.(?:tar(?:\.[a-z0-9]+)?|tgz|txz|tbz2?|tzst)$/i.test(name);
  return `${isTar ? 'tar' : 'raw'},machine::${url}`;
}

async function readUki(file: string, findings: Findings): Promise<Boot> {
  using uki = openUki(file);
  const commandLine = uki.text('.cmdline') ?? '';
  const release = uki.text('.uname');
  if (uki.chunks('.linux') === undefined) {
    throw new RdpullError(
      'uki-malformed',
      `${printable(file)} is an EFI program, but no UKI: it has no section .linux`,
      'name the UKI itself, as ukify or mkosi has made it',
    );
  }
  const kernel = release === undefined ? '' : `, Linux ${printable(release)}`;
  findings.ok('uki', `${printable(path.basename(file))}${kernel}`);
  if (uki.profiles > 1) {
    findings.warn(
      'uki',
      `it has ${uki.profiles} profiles: the first one is checked, which is booted when nobody chooses`,
    );
  }
  if (!asksForPull(commandLine)) {
    throw new RdpullError(
      'bad-argument',
      commandLine === ''
        ? `${printable(file)} has no command line`
        : `the command line of ${printable(file)} asks for no pull: ${shownLine(commandLine)}`,
      'build it with --cmdline "rd.systemd.pull=raw,machine,bootorigin::"',
    );
  }
  findings.ok('command line', shownLine(commandLine));
  if (Buffer.byteLength(commandLine) > COMMAND_LINE_MAX) {
    findings.warn(
      'command line',
      `it is ${Buffer.byteLength(commandLine)} bytes long, and the kernel keeps ${COMMAND_LINE_MAX}`,
      'shorten it: what is behind is cut off',
    );
  }
  return {
    commandLine,
    credential: undefined,
    uki: {
      file,
      size: uki.size,
      release,
      architecture: uki.architecture,
      initrd: await readUkiInitrd(uki, findings),
    },
  };
}

async function readUkiInitrd(
  uki: ReturnType<typeof openUki>,
  findings: Findings,
): Promise<InitrdContent | undefined> {
  const section = uki.chunks('.initrd');
  if (section === undefined) {
    findings.fail(
      'initrd',
      new RdpullError(
        'boot-incomplete',
        'the UKI has no initrd: nobody would pull anything',
        'build it with ukify build --initrd=FILE',
      ),
    );
    return undefined;
  }
  try {
    const initrd = await readInitrdContent(section.body, () => setImmediate());
    if (initrd.opaque === undefined) return initrd;
    findings.warn(
      'initrd',
      `it is packed with ${initrd.opaque}, which check does not read: what is in it is not known`,
      'pack it with zstd, xz or gzip',
    );
  } catch (error) {
    if (!(error instanceof RdpullError)) throw error;
    findings.fail('initrd', error);
  }
  return undefined;
}

/** Whom the boot trusts. */
interface Trust {
  readonly keyrings: readonly string[];
  readonly certificates: readonly string[];
  /** Stands for `/` of the initrd. */
  readonly root: string | undefined;
  readonly ca: readonly string[];
}

/** What the initrd of a UKI trusts; without one, what this machine does. What was named on the command line goes before. */
function trustOf(
  { keyrings, certificates, access }: BootCheck,
  { uki }: Boot,
  scratch: string | undefined,
  findings: Findings,
): Trust {
  const named = { keyrings, certificates, ca: access.ca };
  if (uki?.initrd === undefined || scratch === undefined) {
    if (uki !== undefined && uki.initrd === undefined)
      findings.warn('initrd', 'what follows is checked with the keys and certificates of this machine');
    return { ...named, root: undefined };
  }
  uki.initrd.unpackTrust(scratch);
  for (const [option, files] of Object.entries({
    keyring: keyrings,
    certificate: certificates,
    ca: access.ca,
  })) {
    if (files.length === 0) continue;
    findings.warn(
      'initrd',
      `--${option}= takes the place of what the initrd holds, and at boot it would not`,
      `leave out --${option}=, to check with what the boot uses`,
    );
  }
  const bundle = authoritiesBelow(scratch);
  return { ...named, ca: access.ca.length > 0 || bundle === undefined ? access.ca : [bundle], root: scratch };
}

/** Whatever was said of files below the scratch directory is meant of files of the initrd. */
function withoutRoot(finding: Finding, root: string | undefined): Finding {
  if (root === undefined) return finding;
  const plain = (text: string) => text.replaceAll(root, '');
  const { text, hint, error } = finding;
  return {
    ...finding,
    text: plain(text),
    hint: hint === undefined ? undefined : plain(hint),
    error: error && new RdpullError(error.code, plain(error.message), plain(error.hint), { cause: error }),
  };
}

/** The pulls of the initrd, or of the host; and what becomes the root file system. */
function plan(
  { commandLine, credential }: Boot,
  inInitrd: boolean,
  findings: Findings,
): readonly PlannedPull[] {
  const input: GeneratorInput = {
    commandLine,
    // The host reads it as well, and finds what the initrd has pulled.
    credential: inInitrd ? credential : undefined,
    inInitrd,
    executable: '/usr/bin/rdpull',
    exists: () => false,
    lacksBootUrl: false,
  };
  const { pulls } = planPulls(input, (text, refusal) => {
    if (refusal === undefined) findings.warn('command line', text);
    else findings.fail('expression', refusal);
  });
  for (const pull of pulls) {
    const { request, object, unit, isRoot } = pull;
    const use = isRoot ? ', the root file system' : request.blockdev ? ', attached to a loop device' : '';
    findings.ok('unit', `${unit}: ${printable(object.path)} (${request.type}, ${request.imageClass}${use})`);
  }
  if (inInitrd && pulls.length > 0) sayRoot(commandLine, pulls, findings);
  return pulls;
}

function sayRoot(commandLine: string, pulls: readonly PlannedPull[], findings: Findings): void {
  const { root } = rootParameters(commandLine);
  const mounted = pulls.find(({ isRoot }) => isRoot);
  if (mounted !== undefined) {
    const how =
      mounted.request.type === 'tar'
        ? `the tree ${printable(mounted.object.path)} is bind-mounted on /sysroot`
        : `the root partition of ${printable(mounted.object.path)}, or all of a bare file system, is mounted on /sysroot`;
    findings.ok('root', how);
    return;
  }
  if (root === undefined) {
    const hasMachine = pulls.some(({ request }) => request.imageClass === 'machine');
    if (hasMachine)
      findings.warn('root', 'none of the images becomes the root file system', 'see root= in rdpull.pull(7)');
    else
      findings.ok(
        'root',
        'no image is for the root file system: systemd finds it as it would without rdpull',
      );
    return;
  }
  const device = awaitedDevice(root);
  const origin = device === undefined ? undefined : pulls.find((pull) => comesFrom(device, root, pull));
  if (origin !== undefined) {
    findings.ok('root', `root=${printable(root)} comes out of ${printable(origin.object.path)}`);
  } else if (device !== undefined && pulls.some(({ request }) => request.blockdev)) {
    findings.warn(
      'root',
      `root=${quoted(root)} is awaited: whether it is in one of the images cannot be told beforehand`,
    );
  } else {
    findings.warn(
      'root',
      `root=${quoted(root)} comes out of none of the images`,
      'leave it out, or name the image: root=bind:/run/machines/NAME',
    );
  }
}

/** What the initrd must hold beside the expressions. */
function checkNeeds({ commandLine, uki }: Boot, requests: readonly PullRequest[], findings: Findings): void {
  if (uki === undefined) {
    if (requests.some(({ blockdev }) => blockdev)) checkOwnKernel(findings);
    return;
  }
  if (uki.initrd === undefined) return;
  checkProgram(findings, uki.initrd);
  checkSurroundings(findings, uki.initrd, requests, commandLine, uki);
}

/** Where the machine is booted from, for those that look beside it. */
async function checkOrigin(check: BootCheck, { uki }: Boot, findings: Findings): Promise<void> {
  const { bootUrl, access } = check;
  if (bootUrl === undefined) {
    findings.warn(
      'url',
      'bootorigin: this machine was not booted over HTTP, so that the URL of the image is not known; a machine booted from a disk pulls nothing',
      'say where it will be booted from: --boot-url=http://HOST/image.efi',
    );
    return;
  }
  if (uki === undefined) {
    findings.ok('url', `bootorigin: booted from ${shownUrl(bootUrl)}`);
    return;
  }
  await found(findings, 'url', access.signal, async () =>
    checkServedUki(findings, await check.identify(bootUrl), uki.size, access),
  );
}

async function checkPull(
  check: BootCheck,
  { uki }: Boot,
  pull: PlannedPull,
  { root, ...trust }: Trust,
  others: number,
  findings: Findings,
): Promise<CheckedPull> {
  const { request, object, unit, isRoot } = pull;
  const access: SourceOptions = { ...check.access, ca: trust.ca };
  const { signal } = access;
  const begun: CheckedPull = {
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
  if (request.remote.kind === 'bootorigin' && check.bootUrl === undefined) return begun;
  sayPlaceholders(request, uki, findings);
  const locations = await found(findings, 'url', signal, () => check.locate(request, access, knownOf(uki)));
  const [first] = locations ?? [];
  if (locations === undefined || first === undefined) return begun;
  findings.ok('url', locations.map(({ url }) => shownUrl(url)).join(', '));
  const resolved = { ...begun, urls: locations.map(({ url }) => shownUrl(url)) };

  const asked = locations.filter((location) => location.url.startsWith('https:'));
  if (asked.length > 0 && root !== undefined && access.ca.length === 0) {
    findings.fail(
      'tls',
      new RdpullError(
        'ca-unusable',
        'https needs certificates to check the server against, and there is no bundle of them in the initrd',
        'put the ca-certificates bundle into the initrd, as /etc/ssl/certs/ca-certificates.crt',
      ),
    );
    return resolved;
  }
  await foundAtOne(findings, 'tls', signal, asked, (location) =>
    checkCertificate(findings, location, access),
  );
  const demand = await found(findings, 'checksum', signal, () =>
    findPromise(
      locations,
      {
        verify: request.verify,
        keyrings: trust.keyrings,
        certificates: trust.certificates,
        ...(root !== undefined && { root }),
      },
      access,
      (text) => check.detail(root === undefined ? text : text.replaceAll(root, '')),
    ),
  );
  if (demand !== undefined) sayPromise(request, demand.promised, locations, root !== undefined, findings);
  if (demand?.promised !== undefined && request.type === 'raw')
    saySideFiles(first.url, demand.digestOf, findings);
  let result: CheckedPull = { ...resolved, promised: demand?.promised ?? null };
  const [offered] = await foundAtOne(findings, 'server', signal, locations, (location) =>
    checkImage(findings, location, access, {
      type: request.type,
      isRoot,
      blockdev: request.blockdev,
      architecture: uki?.architecture ?? process.arch,
    }),
  );
  if (offered === undefined) return result;
  const { expected, fileSystem } = offered;
  if (fileSystem !== undefined && uki?.initrd !== undefined) {
    checkFileSystem(findings, uki.initrd, fileSystem, uki.release);
  }
  result = { ...result, size: offered.size ?? null, uncompressed: expected.uncompressed || null };
  const { overcommit } = request;
  const tree = request.type === 'tar';
  if (object.path.startsWith('/run/')) {
    const { ram, isOwnRam: isOwn } = check;
    checkMemory(findings, { ram, isOwn, initrd: uki?.initrd?.unpacked, others }, expected, {
      tree,
      overcommit,
    });
  } else {
    checkDisk(object.directory, expected.occupied, findings);
  }
  return result;
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
  { remote, mirrors }: PullRequest,
  uki: BootedUki | undefined,
  findings: Findings,
): void {
  const text = [remote.kind === 'url' ? remote.url : (remote.name ?? ''), ...mirrors].join(' ');
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
        `the image takes ${bytes} bytes, and the file system of ${directory} has room for ${free}`,
        'make room there',
      ),
    );
  } else findings.ok('memory', `${directory} has room for it on this machine`);
}

/** A kernel command line as it may be printed. */
function shownLine(commandLine: string): string {
  return shownUrl(commandLine.trim());
}
