import { RdpullError } from '../console/rdpull-error.ts';
import { quotedUrl, withoutPasswords } from '../console/shown-url.ts';
import { IMAGE_CLASSES, IMAGE_TYPES, type ImageClass, type ImageType } from './image-class.ts';
import { deriveImageName, imageNameDefect, isChunkIndexName, isChunkIndexUrl } from './image-name.ts';
import { isUrlColon } from './mirror.ts';
import { nearest } from './nearest.ts';
import { nvmeRequest } from './nvme-request.ts';
import { isNvmeUrl } from './nvme-url.ts';
import { nameOfImage, parseReference } from './oci-reference.ts';
import { type OnDemand, onDemandDefect } from './on-demand.ts';
import { hasPlaceholderInFileName, placeholderDefect } from './placeholder.ts';
import { type PullOptions, parsePullOptions, type Refusal } from './pull-options.ts';
import type { PullRequest, Remote } from './pull-request.ts';
import { ramDiskDefect } from './ram-disk.ts';
import { isUrlText, urlDefect } from './url.ts';

const GRAMMAR = 'write OPTIONS:LOCAL:REMOTE, for example raw,machine:root:https://example.com/root.raw.xz';

/** What is looked at behind a colon to tell whether it belongs to a URL: a login with a token in it, and no server takes a longer one. */
const LOOKED_AT = 8 * 1024;

/** The three fields, as far as they can be told apart without understanding them. */
interface Fields {
  readonly options: readonly string[];
  readonly local: string | undefined;
  /** Empty only beside `bootorigin` or `dhcporigin`. */
  readonly remote: string;
}

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
  const options = parsePullOptions(fields.options, tell, refusal);
  if (isNvmeUrl(fields.remote)) return nvmeRequest(options, fields.local, fields.remote, tell, refusal);
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
    } else if (character === ':' && !isText(read, text.slice(index + 1, index + 1 + LOOKED_AT))) {
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
  }: Pick<PullOptions, 'bootOrigin' | 'dhcpOrigin' | 'mirrors' | 'stores'>,
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

type Origins = Pick<PullOptions, 'bootOrigin' | 'dhcpOrigin'>;

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

function checkType({ type, unknown }: PullOptions, refusal: Refusal): ImageType {
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
    case 'nvme':
      return false;
  }
}

/** What is not possible on demand is downloaded whole, unless it is required. */
function checkOnDemand(
  { onDemand, fillRate, readOnly }: PullOptions,
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
  { ramDisk, readOnly }: PullOptions,
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

/** Names the options of which one is missing, and the unknown word that was probably meant to be it. */
function missingHint(valid: readonly string[], unknown: readonly string[]): string {
  const hint = `add ${valid.slice(0, -1).join(', ')} or ${valid.at(-1)} to the options`;
  for (const word of unknown) {
    const meant = nearest(word, valid);
    if (meant !== undefined) return `${hint} (is ${quotedUrl(word)} meant to be ${quotedUrl(meant)}?)`;
  }
  return hint;
}
