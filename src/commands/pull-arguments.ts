import path from 'node:path';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shellCommand } from '../console/shell-command.ts';
import { quotedUrl, shownUrl } from '../console/shown-url.ts';
import {
  IMAGE_CLASSES,
  IMAGE_TYPES,
  type ImageClass,
  type ImageType,
  isTree,
} from '../request/image-class.ts';
import { imageNameDefect, imageTypeOf, isChunkIndexName } from '../request/image-name.ts';
import { mirrorDefect, storeDefect } from '../request/mirror.ts';
import { nearest } from '../request/nearest.ts';
import { isNvmeUrl } from '../request/nvme-url.ts';
import { parseReference } from '../request/oci-reference.ts';
import {
  FILL_VALUES,
  ON_DEMAND_WORDS,
  type OnDemand,
  onDemandDefect,
  parseFill,
  parseOnDemand,
} from '../request/on-demand.ts';
import { placeholderDefect } from '../request/placeholder.ts';
import { parsePullExpression } from '../request/pull-expression.ts';
import { type PullRequest, type Remote, remoteText } from '../request/pull-request.ts';
import { ramDiskDefect } from '../request/ram-disk.ts';
import { formatRootOverlay } from '../request/root-overlay.ts';
import { lastComponent, urlDefect } from '../request/url.ts';
import { parseVerifyMode, VERIFY_MODES, type VerifyMode } from '../request/verify-mode.ts';
import type { CommandLine } from './command.ts';

/**
 * What `rdpull pull` was asked for: a URL with the options' defaults, or an expression, and the options over either.
 *
 * @throws RdpullError of the usage family
 */
export function pullRequest(line: CommandLine, warn: (text: string) => void): PullRequest {
  const type = choice(line, 'type', IMAGE_TYPES);
  const asked = requestFor(line.operand, type, warn);
  const wanted: PullRequest = {
    ...asked,
    type: type ?? asked.type,
    imageClass: choice<ImageClass>(line, 'class', IMAGE_CLASSES) ?? asked.imageClass,
    local: localName(line) ?? asked.local,
    mirrors: [...asked.mirrors, ...line.values('mirror').map(checkedMirror)],
    stores: [...asked.stores, ...line.values('store').map(checkedStore)],
    verify: verifyMode(line) ?? asked.verify,
    readOnly: line.has('read-only') || asked.readOnly,
    blockdev: line.has('blockdev') || asked.blockdev,
    overcommit: line.has('overcommit') || asked.overcommit,
    report: !line.has('no-report') && asked.report,
    onDemand: onDemand(line, asked.onDemand),
    ramDisk: line.has('ramdisk') || asked.ramDisk,
  };
  const onDevice = withRamDisk(withDevice(wanted, line.has('on-demand'), warn), warn);
  const request = withoutOverlay(onDevice, warn);
  requireChunks(request);
  if (request.blockdev && line.has('bind')) {
    throw new RdpullError(
      'bad-option',
      'blockdev is for disk images, and --bind=DIR for tarballs: no image is both',
      'leave out one of them',
    );
  }
  if (request.blockdev && isTree(request.type)) {
    throw new RdpullError(
      'bad-option',
      'a tarball cannot become a block device',
      'use --bind=DIR instead of --blockdev, or --type=raw if the file is a disk image',
    );
  }
  if (line.value('bind') !== undefined && !isTree(request.type)) {
    throw new RdpullError(
      'bad-option',
      'only an unpacked tarball can be bind-mounted, not a disk image',
      'use --blockdev instead of --bind=DIR, or --type=tar if the file is a tarball',
    );
  }
  return request;
}

/** What the operand alone asks for. */
function requestFor(operand: string, type: ImageType | undefined, warn: (text: string) => void): PullRequest {
  const isExpression = operand.includes(',') && !isUrl(operand);
  if (type === 'oci' && !isExpression) return requestForReference(operand);
  if (isNvmeUrl(operand)) throw notPulled(operand);
  const asked = isUrl(operand) ? requestForUrl(operand) : parsePullExpression(operand, warn);
  if (asked.remote.kind === 'nvme') throw notPulled(remoteText(asked.remote));
  if (type !== undefined && (type === 'oci') !== (asked.type === 'oci')) {
    throw new RdpullError(
      'bad-option',
      `--type=${type} contradicts the expression, which asks for ${asked.type}`,
      'leave it out',
    );
  }
  return asked;
}

/** What stays on its server is attached. */
function notPulled(url: string): RdpullError {
  return new RdpullError(
    'bad-url',
    `nothing is pulled from ${quotedUrl(url)}: it leads to a disk that stays on the server`,
    `attach it: ${shellCommand(['rdpull', 'attach', url])}`,
  );
}

/** @throws RdpullError bad-reference */
function requestForReference(text: string): PullRequest {
  const reference = parseReference(text);
  if ('what' in reference) {
    throw new RdpullError('bad-reference', `${quotedUrl(text)} ${reference.what}`, reference.hint);
  }
  return { ...DEFAULTS, remote: { kind: 'registry', reference }, type: 'oci' };
}

/** What nobody has asked for otherwise. */
const DEFAULTS = {
  mirrors: [],
  stores: [],
  imageClass: 'machine',
  local: undefined,
  verify: { kind: 'signature' },
  readOnly: false,
  blockdev: false,
  overcommit: false,
  onDemand: undefined,
  overlay: undefined,
  report: true,
  ramDisk: false,
  runtime: undefined,
} as const satisfies Partial<PullRequest>;

/** The value of `--on-demand` and that of `--fill=`, which goes with it; of an expression what they do not say. */
function onDemand(line: CommandLine, asked: OnDemand | undefined): OnDemand | undefined {
  const value = line.value('on-demand');
  const wanted = value === undefined ? undefined : parseOnDemand(value === '' ? 'yes' : value);
  if (value !== undefined && wanted === undefined) throw badValue('on-demand', value, ON_DEMAND_WORDS);
  const isWanted = wanted === undefined ? asked !== undefined : wanted !== 'no';
  const fillRate = fill(line);
  if (!isWanted && fillRate !== undefined) {
    throw new RdpullError(
      'bad-option',
      '--fill= says how fast the rest of an image is fetched that is read on demand',
      'add --on-demand',
    );
  }
  if (!isWanted) return undefined;
  return {
    isRequired: wanted === undefined ? asked?.isRequired === true : wanted === 'required',
    fillRate: fillRate ?? asked?.fillRate ?? Number.POSITIVE_INFINITY,
  };
}

function fill(line: CommandLine): number | undefined {
  const value = line.value('fill');
  if (value === undefined) return undefined;
  const rate = parseFill(value);
  if (rate !== undefined) return rate;
  throw new RdpullError(
    'bad-option',
    `--fill=${printable(value)} is not valid`,
    `valid are ${FILL_VALUES.replaceAll('fill=', '--fill=')}`,
  );
}

/** What is read on demand is a device, and cannot be written to. What cannot be is downloaded whole, unless it is required. */
function withDevice(request: PullRequest, isOption: boolean, warn: (text: string) => void): PullRequest {
  if (request.onDemand === undefined) return request;
  const defect = onDemandDefect(request.type, request.imageClass);
  if (defect === undefined) return { ...request, blockdev: true, readOnly: true };
  if (request.onDemand.isRequired) {
    throw new RdpullError('bad-option', `on-demand=require cannot be: ${defect}`, 'leave it out');
  }
  warn(`${isOption ? '--on-demand' : 'on-demand'} is passed over: ${defect}`);
  return { ...request, onDemand: undefined };
}

/** Here nothing is mounted as a root, over which an overlay could lie. */
function withoutOverlay(request: PullRequest, warn: (text: string) => void): PullRequest {
  if (request.overlay === undefined) return request;
  const command = shellCommand(['rdpull', 'overlay', formatRootOverlay(request.overlay), 'DIR']);
  warn(
    `overlay= is passed over: at boot it lies over the root; over what is mounted on DIR, do it with ${command}`,
  );
  return { ...request, overlay: undefined };
}

/** As {@link withDevice}. What cannot be in memory is pulled. */
function withRamDisk(request: PullRequest, warn: (text: string) => void): PullRequest {
  if (!request.ramDisk) return request;
  const defect = ramDiskDefect(request.type, request.imageClass);
  if (defect === undefined) return { ...request, blockdev: true, readOnly: true };
  warn(`--ramdisk is passed over: ${defect}`);
  return { ...request, ramDisk: false };
}

/** The directory of `--image-root=`, absolute. */
export function imageRoot(line: CommandLine): string | undefined {
  const directory = line.value('image-root');
  return directory === undefined ? undefined : path.resolve(directory);
}

/** How the URLs begin that a command takes. */
export const URL_BEGINNINGS: readonly string[] = ['http://', 'https://', 'file:///'];

/** Whether `text` is meant as a URL, and not as a path or an expression. */
export function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text) || text.startsWith('file:/');
}

/** @throws RdpullError bad-url */
export function requireUrl(url: string): void {
  const defect = urlDefect(url);
  if (defect === undefined) return;
  throw new RdpullError(
    'bad-url',
    `${quotedUrl(url)} ${defect}`,
    'write http://HOST/FILE, https://HOST/FILE or file:///FILE',
  );
}

/**
 * Makes sure that what a command takes for a path was not meant as a URL.
 *
 * @param hint what to do with one
 * @throws RdpullError bad-argument
 */
export function requirePath(command: string, operand: string, hint: string): void {
  if (!isUrl(operand)) return;
  throw new RdpullError(
    'bad-argument',
    `rdpull ${command} takes a file of this machine, and ${quotedUrl(operand)} is a URL`,
    operand.startsWith('file:') ? 'write the path alone' : hint,
  );
}

export function requestForUrl(url: string): PullRequest {
  requireUrl(url);
  const remote: Remote = { kind: 'url', url };
  const unfillable = placeholderDefect(remote);
  if (unfillable !== undefined) {
    throw new RdpullError('bad-url', `${quotedUrl(url)} ${unfillable.what}`, unfillable.hint);
  }
  return { ...DEFAULTS, remote, type: imageTypeOf(lastComponent(url) ?? '') };
}

function checkedMirror(url: string): string {
  const defect = mirrorDefect(url);
  if (defect === undefined) return url;
  throw new RdpullError('bad-url', `--mirror=${shownUrl(url)} ${defect.what}`, defect.hint);
}

function checkedStore(url: string): string {
  const defect = storeDefect(url);
  if (defect === undefined) return url;
  throw new RdpullError('bad-url', `--store=${shownUrl(url)} ${defect.what}`, defect.hint);
}

/** @throws RdpullError bad-option where what belongs to an image in chunks was asked of another one */
function requireChunks({ remote, stores, type }: PullRequest): void {
  const name = remote.kind === 'url' ? remote.url : remote.kind === 'bootorigin' ? remote.name : undefined;
  const isIndex = name !== undefined && isChunkIndexName(name.replace(/[?#].*$/s, ''));
  if (isIndex && isTree(type)) {
    throw new RdpullError(
      'bad-option',
      `a file that ends in .caibx is the index of a disk image, and no ${type === 'tar' ? 'tarball' : 'container image'}`,
      'leave out the type, or name a tarball',
    );
  }
  if (
    stores.length === 0 ||
    isIndex ||
    (remote.kind === 'bootorigin' && name === undefined && type === 'raw')
  )
    return;
  throw new RdpullError(
    'bad-option',
    '--store=URL says where the chunks of an image lie, and only a file that ends in .caibx has them',
    'leave it out, or name the index of the image',
  );
}

function choice<T extends string>(line: CommandLine, name: string, valid: readonly T[]): T | undefined {
  const value = line.value(name);
  if (value === undefined) return undefined;
  const chosen = valid.find((each) => each === value);
  if (chosen !== undefined) return chosen;
  throw badValue(name, value, valid);
}

function localName(line: CommandLine): string | undefined {
  const name = line.value('local');
  const defect = name === undefined ? undefined : imageNameDefect(name);
  if (name === undefined || defect === undefined) return name;
  throw new RdpullError('bad-image-name', `--local=${printable(name)} ${defect}`, 'choose a plain file name');
}

/** The modes, as far as they can be written before the digest is known. */
export const VERIFY_WORDS: readonly string[] = VERIFY_MODES.map((mode) => mode.replace('HEX', ''));

/** The value of `--verify=`; undefined when it was not given. */
export function verifyMode(line: CommandLine): VerifyMode | undefined {
  const value = line.value('verify');
  if (value === undefined) return undefined;
  const mode = parseVerifyMode(value);
  if (mode !== undefined) return mode;
  throw badValue('verify', value, VERIFY_MODES);
}

/** A day: who needs longer has another problem. */
const MAX_PATIENCE = 86_400;

/** How long to go on without progress, in seconds: a network may need minutes to come up, a person will not wait. */
const BOOT_PATIENCE = '300';
const USUAL_PATIENCE = '30';

/**
 * The value of `--patience=`, in ms.
 *
 * @throws RdpullError bad-option
 */
export function patience(line: CommandLine, isInitrd: boolean): number {
  const value = line.value('patience') ?? (isInitrd ? BOOT_PATIENCE : USUAL_PATIENCE);
  const seconds = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
  if (seconds <= MAX_PATIENCE) return seconds * 1000;
  throw new RdpullError(
    'bad-option',
    `--patience=${printable(value)} is not valid`,
    `give a number of seconds, at most ${MAX_PATIENCE}`,
  );
}

/** A value that is none of `valid`. */
export function badValue(name: string, value: string, valid: readonly string[]): RdpullError {
  const meant = nearest(value, valid);
  return new RdpullError(
    'bad-option',
    `--${name}=${shownUrl(value)} is not valid`,
    meant === undefined ? `valid are ${valid.join(', ')}` : `did you mean --${name}=${meant}?`,
  );
}
