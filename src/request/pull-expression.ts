import { type ErrorCode, RdpullError } from '../console/rdpull-error.ts';
import { quotedUrl, withoutPasswords } from '../console/shown-url.ts';
import { parseBoolean } from './boolean.ts';
import { IMAGE_CLASSES, IMAGE_TYPES, type ImageClass, type ImageType } from './image-class.ts';
import { deriveImageName, imageNameDefect, isChunkIndexName, isChunkIndexUrl } from './image-name.ts';
import { isUrlColon, mirrorDefect, storeDefect } from './mirror.ts';
import { nearest } from './nearest.ts';
import { nameOfImage, parseReference } from './oci-reference.ts';
import { FILL_VALUES, type OnDemand, onDemandDefect, parseFill, parseOnDemand } from './on-demand.ts';
import { hasPlaceholderInFileName, placeholderDefect } from './placeholder.ts';
import type { PullRequest, Remote } from './pull-request.ts';
import { ramDiskDefect } from './ram-disk.ts';
import { OVERLAY_VALUES, parseRootOverlay, type RootOverlay } from './root-overlay.ts';
import { isUrlText, urlDefect } from './url.ts';
import { parseVerifyMode, VERIFY_MODES, type VerifyMode } from './verify-mode.ts';

/** The options of an expression; those with a value end in `=`. */
export const PULL_OPTIONS: readonly string[] = [
  ...IMAGE_TYPES,
  ...IMAGE_CLASSES,
  'ro',
  'rw',
  'verify=',
  'mirror=',
  'store=',
  'blockdev',
  'on-demand',
  'on-demand=require',
  'fill=',
  'overlay=',
  'overcommit',
  'no-report',
  'bootorigin',
  'dhcporigin',
  'ramdisk',
  'runtime=',
];

const GRAMMAR = 'write OPTIONS:LOCAL:REMOTE, for example raw,machine:root:https://example.com/root.raw.xz';

/** What the options say, with systemd's defaults where they say nothing. */
interface Options {
  type: ImageType | undefined;
  imageClass: ImageClass | undefined;
  verify: VerifyMode;
  mirrors: string[];
  stores: string[];
  /** undefined where neither `ro` nor `rw` is said. */
  readOnly: boolean | undefined;
  blockdev: boolean;
  onDemand: 'no' | 'yes' | 'required';
  /** Bytes a second; undefined where nothing is said. */
  fillRate: number | undefined;
  overlay: RootOverlay | undefined;
  overcommit: boolean;
  report: boolean;
  bootOrigin: boolean;
  dhcpOrigin: boolean;
  ramDisk: boolean;
  runtime: boolean | undefined;
  /** Unknown words, which may explain why something else is missing. */
  unknown: string[];
}

/** The three fields, as far as they can be told apart without understanding them. */
interface Fields {
  readonly options: readonly string[];
  readonly local: string | undefined;
  /** Empty only beside `bootorigin` or `dhcporigin`. */
  readonly remote: string;
}

/** Makes the error that refuses the expression at hand: `what` follows the expression in the message. */
type Refusal = (code: ErrorCode, what: string, hint: string) => RdpullError;

/**
 * Reads `OPTIONS:LOCAL:REMOTE`, the value of `systemd.pull=`, as systemd-import-generator(8) does. Beyond that it takes
 * `verify=yes`, `verify=sha256:HEX`, `mirror=URL`, `dhcporigin`, `ramdisk`, placeholders in REMOTE, and beside an origin an empty REMOTE.
 *
 * @param warn takes a line about each option that is ignored, also when the expression is refused in the end
 * @throws RdpullError bad-expression, bad-image-name or bad-url, by the first thing that is wrong
 */
export function parsePullExpression(expression: string, warn: (message: string) => void): PullRequest {
  const subject = () => `pull expression ${quotedUrl(expression)}`;
  const discreet = (text: string) => withoutPasswords(text, expression);
  const refusal: Refusal = (code, what, hint) =>
    new RdpullError(code, discreet(`${subject()} ${what}`), discreet(hint));

  const fields = splitFields(expression, refusal);
  checkLocal(fields.local, refusal);
  const tell = (what: string) => warn(discreet(`${subject()}: ${what}`));
  const options = parseOptions(fields.options, tell, refusal);
  const remote =
    options.type === 'oci'
      ? parseRegistryRemote(fields.remote, options, refusal)
      : parseRemote(fields.remote, options, refusal);

  const { imageClass, verify, mirrors, overlay, overcommit, report, runtime } = options;
  const stores = checkStores(remote, options.stores, tell);
  const type = checkType(options, refusal);
  if (imageClass === undefined) {
    throw refusal(
      'bad-expression',
      'does not say what the image is for',
      missingHint(IMAGE_CLASSES, options.unknown),
    );
  }
  const local = fields.local ?? deriveLocal(remote, type, refusal);
  if (options.blockdev && type !== 'raw') {
    throw refusal(
      'bad-expression',
      `asks for a block device, which no ${type === 'oci' ? 'container' : type} image has`,
      'say raw instead, or leave out blockdev',
    );
  }
  if (overlay !== undefined && imageClass !== 'machine') {
    throw refusal(
      'bad-expression',
      `asks for overlay=, which is for the root file system, and not for the class ${imageClass}`,
      'leave it out',
    );
  }
  const onDemand = checkOnDemand(options, type, imageClass, tell, refusal);
  const ramDisk = checkRamDisk(options, type, imageClass, tell);
  const isDevice = onDemand !== undefined || ramDisk;
  const blockdev = options.blockdev || isDevice;
  const readOnly = (options.readOnly ?? false) || isDevice;
  return {
    remote,
    mirrors,
    stores,
    type,
    imageClass,
    local,
    verify,
    readOnly,
    blockdev,
    overcommit,
    onDemand,
    overlay,
    report,
    ramDisk,
    runtime,
  };
}

function splitFields(expression: string, refusal: Refusal): Fields {
  const options = readField(expression, refusal, isOptionColon);
  if (options.rest === undefined) throw refusal('bad-expression', 'names no local image', GRAMMAR);
  const local = readField(options.rest, refusal);
  const fields = {
    options: options.text === '' ? [] : options.text.split(','),
    local: local.text === '' ? undefined : local.text,
    remote: local.rest ?? '',
  };
  if (
    fields.remote === '' &&
    !fields.options.includes('bootorigin') &&
    !fields.options.includes('dhcporigin')
  ) {
    throw refusal('bad-expression', 'names no remote image', GRAMMAR);
  }
  return fields;
}

/**
 * The text up to the next `:`, in which a backslash takes the next character as it is, and what follows the colon:
 * undefined when there is none.
 *
 * @param isText decides that a colon belongs to the text, from what was read and what follows
 */
function readField(
  text: string,
  refusal: Refusal,
  isText: (read: string, following: string) => boolean = () => false,
): { text: string; rest: string | undefined } {
  let read = '';
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index);
    if (character === '\\') {
      index++;
      if (index === text.length) {
        throw refusal(
          'bad-expression',
          'ends in the middle of an escape: nothing follows its last backslash',
          'remove the backslash, or write it twice',
        );
      }
      read += text.charAt(index);
    } else if (character === ':' && !isText(read, text.slice(index + 1, index + 66))) {
      return { text: read, rest: text.slice(index + 1) };
    } else {
      read += character;
    }
  }
  return { text: read, rest: undefined };
}

function isOptionColon(read: string, following: string): boolean {
  return isDigestColon(read, following) || isUrlColon(read.slice(read.lastIndexOf(',') + 1), following);
}

/** Whether a colon stands in `verify=sha256:HEX`, where it should be escaped and nobody will. */
function isDigestColon(read: string, following: string): boolean {
  return (
    (read === 'verify=sha256' || read.endsWith(',verify=sha256')) &&
    /^[0-9a-fA-F]{64}(?:[,:]|$)/.test(following)
  );
}

function checkLocal(local: string | undefined, refusal: Refusal): void {
  const defect = local === undefined ? undefined : imageNameDefect(local);
  if (local === undefined || defect === undefined) return;
  throw refusal(
    'bad-image-name',
    `has an unusable local name: ${quotedUrl(local)} ${defect}`,
    'write a plain file name between the first and the second colon',
  );
}

/** The local name in place of an empty one; undefined when only the boot URL will tell. */
function deriveLocal(remote: Remote, type: ImageType, refusal: Refusal): string | undefined {
  if (hasPlaceholderInFileName(remote)) {
    // The unit that pulls is named after it, and is written before the machine is asked who it is.
    throw refusal(
      'bad-image-name',
      'has no local name, and none can be derived from a file name with a placeholder in it',
      'write a local name between the first and the second colon',
    );
  }
  if (remote.kind === 'registry') return nameOfImage(remote.reference);
  return remote.kind === 'url' ? deriveImageName(remote.url, type) : undefined;
}

/** What belongs to files says nothing of a container image. */
function parseRegistryRemote(
  text: string,
  {
    bootOrigin,
    dhcpOrigin,
    mirrors,
    stores,
  }: Pick<Options, 'bootOrigin' | 'dhcpOrigin' | 'mirrors' | 'stores'>,
  refusal: Refusal,
): Remote {
  const unfit = [
    bootOrigin ? ['bootorigin'] : [],
    dhcpOrigin ? ['dhcporigin'] : [],
    mirrors.length > 0 ? ['mirror='] : [],
    stores.length > 0 ? ['store='] : [],
  ];
  const [word] = unfit.flat();
  if (word !== undefined) {
    throw refusal(
      'bad-expression',
      `asks for "${word}", which is for files, and not for oci`,
      'leave it out',
    );
  }
  const reference = parseReference(text);
  if (!('what' in reference)) return { kind: 'registry', reference };
  throw refusal(
    'bad-reference',
    `has an unusable reference: ${quotedUrl(text)} ${reference.what}`,
    reference.hint,
  );
}

type Origins = Pick<Options, 'bootOrigin' | 'dhcpOrigin'>;

function parseRemote(text: string, origins: Origins, refusal: Refusal): Remote {
  const remote = parseAddress(text, origins, refusal);
  const defect = placeholderDefect(remote);
  if (defect === undefined) return remote;
  throw refusal('bad-url', defect.what, defect.hint);
}

function parseAddress(text: string, { bootOrigin, dhcpOrigin }: Origins, refusal: Refusal): Remote {
  if (bootOrigin || dhcpOrigin) {
    const name = text === '' ? undefined : text;
    const dhcp = dhcpOrigin ? { dhcp: bootOrigin ? ('fallback' as const) : ('only' as const) } : {};
    if (isUrlText(text)) return { kind: 'bootorigin', name, ...dhcp };
    throw refusal(
      'bad-url',
      `has an unusable file name: ${quotedUrl(text)} holds characters that a URL cannot`,
      'percent-encode the file name',
    );
  }
  const defect = urlDefect(text);
  if (defect === undefined) return { kind: 'url', url: text };
  throw refusal(
    'bad-url',
    `has an unusable URL: ${quotedUrl(text)} ${defect}`,
    text.startsWith('//')
      ? 'a colon is missing: write OPTIONS:LOCAL:URL, in which LOCAL may be empty'
      : 'write the URL behind the second colon, as http://HOST/FILE or https://HOST/FILE',
  );
}

function checkType({ type, unknown }: Options, refusal: Refusal): ImageType {
  if (type !== undefined) return type;
  throw refusal('bad-expression', 'does not say what the image is', missingHint(IMAGE_TYPES, unknown));
}

/** Only an index has chunks; what lies beside a UKI may be one, whatever it is called. */
function checkStores(
  remote: Remote,
  stores: readonly string[],
  warn: (what: string) => void,
): readonly string[] {
  if (stores.length === 0 || mayBeIndex(remote)) return stores;
  warn('"store=" is ignored: it says where chunks lie, and only a file that ends in .caibx has them');
  return [];
}

function mayBeIndex(remote: Remote): boolean {
  switch (remote.kind) {
    case 'url':
      return isChunkIndexUrl(remote.url);
    case 'bootorigin':
      return remote.name === undefined || isChunkIndexName(remote.name);
    case 'registry':
      return false;
  }
}

/** What is not possible on demand is downloaded whole, unless it is required. */
function checkOnDemand(
  { onDemand, fillRate, readOnly }: Options,
  type: ImageType,
  imageClass: ImageClass,
  warn: (what: string) => void,
  refusal: Refusal,
): OnDemand | undefined {
  if (onDemand === 'no') {
    if (fillRate !== undefined) warn('"fill=" is ignored: it says something only with on-demand');
    return undefined;
  }
  const isRequired = onDemand === 'required';
  const defect = onDemandDefect(type, imageClass);
  if (defect !== undefined) {
    if (isRequired)
      throw refusal('bad-expression', `asks for on-demand=require, but ${defect}`, 'leave it out');
    warn(`"on-demand" is ignored: ${defect}`);
    return undefined;
  }
  if (readOnly === false) warn('"rw" is ignored: what is read on demand cannot be written to');
  return { isRequired, fillRate: fillRate ?? Number.POSITIVE_INFINITY };
}

/** What cannot be in memory is pulled. */
function checkRamDisk(
  { ramDisk, readOnly }: Options,
  type: ImageType,
  imageClass: ImageClass,
  warn: (what: string) => void,
): boolean {
  if (!ramDisk) return false;
  const defect = ramDiskDefect(type, imageClass);
  if (defect !== undefined) {
    warn(`"ramdisk" is ignored: ${defect}`);
    return false;
  }
  if (readOnly === false) warn('"rw" is ignored: what the firmware has left in memory is not written to');
  return true;
}

function parseOptions(words: readonly string[], warn: (what: string) => void, refusal: Refusal): Options {
  const options: Options = {
    type: undefined,
    imageClass: undefined,
    verify: { kind: 'signature' },
    mirrors: [],
    stores: [],
    readOnly: undefined,
    blockdev: false,
    onDemand: 'no',
    fillRate: undefined,
    overlay: undefined,
    overcommit: false,
    report: true,
    bootOrigin: false,
    dhcpOrigin: false,
    ramDisk: false,
    runtime: undefined,
    unknown: [],
  };
  for (const word of words) {
    const [, key = word, value = ''] = /^([^=]*=)(.*)$/s.exec(word) ?? [];
    switch (key) {
      case 'raw':
      case 'tar':
      case 'oci':
        options.type = key;
        break;
      case 'machine':
      case 'portable':
      case 'sysext':
      case 'confext':
        options.imageClass = key;
        break;
      case 'ro':
        options.readOnly = true;
        break;
      case 'rw':
        options.readOnly = false;
        break;
      case 'blockdev':
        options.blockdev = true;
        break;
      case 'on-demand':
        options.onDemand = 'yes';
        break;
      case 'on-demand=': {
        const wanted = parseOnDemand(value);
        if (wanted === undefined) {
          // Downloaded whole it is good as well.
          warn(`${quotedUrl(word)} is ignored: write on-demand or on-demand=require`);
        } else options.onDemand = wanted;
        break;
      }
      case 'fill=': {
        const rate = parseFill(value);
        if (rate === undefined) warn(`${quotedUrl(word)} is ignored: write ${FILL_VALUES}`);
        else options.fillRate = rate;
        break;
      }
      case 'overlay=':
        options.overlay = parseRootOverlay(value);
        // Ignored, it would let the machine run on without what was written before, and lose what is written now.
        if (options.overlay === undefined) {
          throw refusal(
            'bad-expression',
            `does not say where to write to: ${quotedUrl(word)} is not ${OVERLAY_VALUES}`,
            'write overlay=tmpfs, or overlay=LABEL=NAME',
          );
        }
        break;
      case 'overcommit':
        options.overcommit = true;
        break;
      case 'no-report':
        options.report = false;
        break;
      case 'bootorigin':
        options.bootOrigin = true;
        break;
      case 'dhcporigin':
        options.dhcpOrigin = true;
        break;
      case 'ramdisk':
        options.ramDisk = true;
        break;
      case 'verify=': {
        const mode = parseVerifyMode(value);
        if (mode !== undefined) {
          options.verify = mode;
        } else if (/^sha-?256/i.test(value)) {
          // Ignoring this one could leave a weaker mode in force than the one that was meant.
          throw refusal(
            'bad-expression',
            `has an unusable digest: ${quotedUrl(word)} is not verify=sha256: and 64 hexadecimal digits`,
            'paste the whole SHA-256 of the file as the server sends it (sha256sum prints it)',
          );
        } else {
          warn(`${quotedUrl(word)} is ignored: ${suggestion(value, VERIFY_MODES, 'verify=')}`);
        }
        break;
      }
      case 'mirror=': {
        const defect = mirrorDefect(value);
        if (defect === undefined) options.mirrors.push(value);
        // The others, and the URL itself, may still save the boot.
        else warn(`${quotedUrl(word)} is ignored: the URL ${defect.what}: ${defect.hint}`);
        break;
      }
      case 'store=': {
        const defect = storeDefect(value);
        if (defect === undefined) options.stores.push(value);
        else warn(`${quotedUrl(word)} is ignored: the URL ${defect.what}: ${defect.hint}`);
        break;
      }
      case 'runtime=': {
        const runtime = parseBoolean(value);
        if (runtime === undefined) warn(`${quotedUrl(word)} is ignored: write runtime=yes or runtime=no`);
        else options.runtime = runtime;
        break;
      }
      case '':
        warn('an empty option is ignored: remove the comma beside it');
        break;
      default: {
        options.unknown.push(word);
        const meant = nearest(key, PULL_OPTIONS);
        warn(
          meant === undefined
            ? `unknown option ${quotedUrl(word)} is ignored: valid are ${PULL_OPTIONS.join(', ')}`
            : `unknown option ${quotedUrl(word)} is ignored: did you mean ${quotedUrl(meant.endsWith('=') ? meant + value : meant)}?`,
        );
      }
    }
  }
  return options;
}

function suggestion(text: string, valid: readonly string[], prefix: string): string {
  const meant = nearest(text, valid);
  return meant === undefined
    ? `valid are ${valid.map((each) => prefix + each).join(', ')}`
    : `did you mean "${prefix}${meant}"?`;
}

/** Names the options of which one is missing, and the unknown word that was probably meant to be it. */
function missingHint(valid: readonly string[], unknown: readonly string[]): string {
  const hint = `add ${valid.slice(0, -1).join(', ')} or ${valid.at(-1)} to the options`;
  for (const word of unknown) {
    const meant = nearest(word, valid);
    if (meant !== undefined) return `${hint} (is ${quotedUrl(word)} meant to be ${quotedUrl(meant)}?)`;
  }
  return hint;
}
