import type { ErrorCode, RdpullError } from '../console/rdpull-error.ts';
import { quotedUrl } from '../console/shown-url.ts';
import { parseBoolean } from './boolean.ts';
import { IMAGE_CLASSES, IMAGE_TYPES, type ImageClass, type ImageType } from './image-class.ts';
import { mirrorDefect, storeDefect } from './mirror.ts';
import { nearest } from './nearest.ts';
import { FILL_VALUES, parseFill, parseOnDemand } from './on-demand.ts';
import { OVERLAY_VALUES, parseRootOverlay, type RootOverlay } from './root-overlay.ts';
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

/** What the options of an expression say, with systemd's defaults where they say nothing. */
export interface PullOptions {
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

/** Makes the error that refuses the expression at hand: `what` follows the expression in the message. */
export type Refusal = (code: ErrorCode, what: string, hint: string) => RdpullError;

/** Takes what is said about an option that is ignored. */
type Warn = (what: string) => void;

/**
 * Reads the options of an expression. The last of two that exclude each other counts, as with systemd.
 *
 * @param warn takes a line about each option that is ignored
 * @throws RdpullError bad-expression, when an option that cannot be read must not be ignored
 */
export function parsePullOptions(words: readonly string[], warn: Warn, refusal: Refusal): PullOptions {
  const options: PullOptions = {
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
    if (word === '') warn('an empty option is ignored: remove the comma beside it');
    else if (!takeWord(options, word) && !takeValue(options, word, warn, refusal)) {
      options.unknown.push(word);
      warn(unknownOption(word));
    }
  }
  return options;
}

/** Whether it is an option without a value. */
function takeWord(options: PullOptions, word: string): boolean {
  switch (word) {
    case 'raw':
    case 'tar':
    case 'oci':
      options.type = word;
      return true;
    case 'machine':
    case 'portable':
    case 'sysext':
    case 'confext':
      options.imageClass = word;
      return true;
    case 'ro':
      options.readOnly = true;
      return true;
    case 'rw':
      options.readOnly = false;
      return true;
    case 'blockdev':
      options.blockdev = true;
      return true;
    case 'on-demand':
      options.onDemand = 'yes';
      return true;
    case 'overcommit':
      options.overcommit = true;
      return true;
    case 'no-report':
      options.report = false;
      return true;
    case 'bootorigin':
      options.bootOrigin = true;
      return true;
    case 'dhcporigin':
      options.dhcpOrigin = true;
      return true;
    case 'ramdisk':
      options.ramDisk = true;
      return true;
    default:
      return false;
  }
}

/** Whether it is an option with a value, good or not. */
function takeValue(options: PullOptions, word: string, warn: Warn, refusal: Refusal): boolean {
  const { key, value } = keyAndValue(word);
  const ignore = (why: string) => warn(`${quotedUrl(word)} is ignored: ${why}`);
  switch (key) {
    case 'on-demand=': {
      const wanted = parseOnDemand(value);
      // Downloaded whole it is good as well.
      if (wanted === undefined) ignore('write on-demand or on-demand=require');
      else options.onDemand = wanted;
      return true;
    }
    case 'fill=': {
      const rate = parseFill(value);
      if (rate === undefined) ignore(`write ${FILL_VALUES}`);
      else options.fillRate = rate;
      return true;
    }
    case 'overlay=':
      options.overlay = requireOverlay(value, word, refusal);
      return true;
    case 'verify=': {
      const mode = parseVerifyMode(value);
      if (mode !== undefined) options.verify = mode;
      else if (isMeantAsDigest(value)) throw unusableDigest(word, refusal);
      else ignore(nearestVerifyMode(value));
      return true;
    }
    case 'mirror=': {
      const defect = mirrorDefect(value);
      // The others, and the URL itself, may still save the boot.
      if (defect !== undefined) ignore(`the URL ${defect.what}: ${defect.hint}`);
      else options.mirrors.push(value);
      return true;
    }
    case 'store=': {
      const defect = storeDefect(value);
      if (defect !== undefined) ignore(`the URL ${defect.what}: ${defect.hint}`);
      else options.stores.push(value);
      return true;
    }
    case 'runtime=': {
      const runtime = parseBoolean(value);
      if (runtime === undefined) ignore('write runtime=yes or runtime=no');
      else options.runtime = runtime;
      return true;
    }
    default:
      return false;
  }
}

/** `KEY=VALUE`, the key with its `=`; a word without one is a key. */
function keyAndValue(word: string): { key: string; value: string } {
  const end = word.indexOf('=') + 1;
  return end === 0 ? { key: word, value: '' } : { key: word.slice(0, end), value: word.slice(end) };
}

/** Ignored, it would let the machine run on without what was written before, and lose what is written now. */
function requireOverlay(value: string, word: string, refusal: Refusal): RootOverlay {
  const overlay = parseRootOverlay(value);
  if (overlay !== undefined) return overlay;
  throw refusal(
    'bad-expression',
    `does not say where to write to: ${quotedUrl(word)} is not ${OVERLAY_VALUES}`,
    'write overlay=tmpfs, or overlay=LABEL=NAME',
  );
}

function isMeantAsDigest(mode: string): boolean {
  return /^sha-?256/i.test(mode);
}

/** Ignored, it could leave a weaker mode in force than the one that was meant. */
function unusableDigest(word: string, refusal: Refusal): RdpullError {
  return refusal(
    'bad-expression',
    `has an unusable digest: ${quotedUrl(word)} is not verify=sha256: and 64 hexadecimal digits`,
    'paste the whole SHA-256 of the file as the server sends it (sha256sum prints it)',
  );
}

function nearestVerifyMode(mode: string): string {
  const meant = nearest(mode, VERIFY_MODES);
  return meant === undefined
    ? `valid are ${VERIFY_MODES.map((each) => `verify=${each}`).join(', ')}`
    : `did you mean "verify=${meant}"?`;
}

function unknownOption(word: string): string {
  const { key, value } = keyAndValue(word);
  const meant = nearest(key, PULL_OPTIONS);
  return meant === undefined
    ? `unknown option ${quotedUrl(word)} is ignored: valid are ${PULL_OPTIONS.join(', ')}`
    : `unknown option ${quotedUrl(word)} is ignored: did you mean ${quotedUrl(meant.endsWith('=') ? meant + value : meant)}?`;
}
