import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../../console/printable.ts';
import { reasonOf } from '../../console/rdpull-error.ts';
import { isSystemError } from '../../kernel/system-error.ts';

/** Load paths of the system, first those whose word counts most (UAPI.11, "System mode"). */
const LOAD_PATHS = ['/etc/voa', '/run/voa', '/usr/local/share/voa', '/usr/share/voa'];
/** Symbolic links in there would last until the next boot only: UAPI.11 forbids them, "Symlinking". */
const EPHEMERAL = '/run/voa';
/** Purpose, context and technology: keys that sign operating system images, in general, with OpenPGP. */
const BELOW_OS = 'image/default/openpgp';
const SUFFIX = '.openpgp';

/** Where os-release lies in an initrd and elsewhere (os-release(5)); the first one counts. */
const OS_RELEASE = ['/etc/initrd-release', '/etc/os-release', '/usr/lib/os-release'];
/** What an os identifier is made of, in this order (UAPI.11, "OS"). */
const OS_PARTS = ['ID', 'VERSION_ID', 'VARIANT_ID', 'IMAGE_ID', 'IMAGE_VERSION'];

/** A file that holds an OpenPGP certificate, and the fingerprint that its name promises, in lower case. */
export interface VoaVerifier {
  readonly file: string;
  readonly fingerprint: string;
}

/**
 * The OpenPGP certificates for OS images in the File Hierarchy for the Verification of OS Artifacts (UAPI.11):
 * `{/etc,/run,/usr/local/share,/usr/share}/voa/OS/image/default/openpgp/FINGERPRINT.openpgp`. OS is what os-release
 * says of this system, from the name alone (`debian`) to all of its parts (`debian:13:server`). A certificate that is
 * masked in one place, by a link to /dev/null, is masked in all.
 *
 * @param root the directory that stands for `/`
 * @param warn takes a line for each entry that the specification says not to consider
 * @returns every copy: OpenPGP certificates are merged, and no load path overrides another
 */
export function voaVerifiers(root: string, warn: (text: string) => void): VoaVerifier[] {
  const found: VoaVerifier[] = [];
  const masked = new Set<string>();
  for (const directory of verifierDirectories(root)) {
    for (const name of listed(directory)) {
      if (!name.endsWith(SUFFIX)) continue;
      const file = path.join(directory, name);
      const judgement = judge(file, root);
      if (judgement === 'masked') masked.add(name);
      else if (judgement === 'good') found.push({ file, fingerprint: name.slice(0, -SUFFIX.length) });
      else warn(`${printable(file)} is not considered: ${judgement}`);
    }
  }
  return found.filter(({ fingerprint }) => !masked.has(`${fingerprint}${SUFFIX}`));
}

/** The directories that may hold certificates, for messages: one pattern for each load path. */
export function voaPatterns(): string[] {
  return LOAD_PATHS.map((loadPath) => `${loadPath}/OS/${BELOW_OS}/*${SUFFIX}`);
}

function verifierDirectories(root: string): string[] {
  return LOAD_PATHS.flatMap((loadPath) =>
    osIdentifiers(root).map((os) => path.join(root, loadPath, os, BELOW_OS)),
  );
}

/** `ID`, `ID:VERSION_ID` and so on; each once, without trailing colons. */
function osIdentifiers(root: string): string[] {
  const fields = osRelease(root);
  const parts = OS_PARTS.map((part) => fields.get(part) ?? '');
  if (parts[0] === '') return [];
  return [
    ...new Set(
      parts.map((_, last) =>
        parts
          .slice(0, last + 1)
          .join(':')
          .replace(/:+$/, ''),
      ),
    ),
  ];
}

function osRelease(root: string): Map<string, string> {
  for (const file of OS_RELEASE) {
    try {
      const text = fs.readFileSync(path.join(root, file), 'utf8');
      // A value with any other character could lead out of the directory.
      const fields = text.matchAll(/^([A-Z_]+)=(["']?)([0-9a-z._-]*)\2$/gm);
      return new Map([...fields].map(([, name = '', , value = '']) => [name, value]));
    } catch (error) {
      if (!isSystemError(error, 'ENOENT', 'ENOTDIR')) throw error;
    }
  }
  return new Map();
}

function listed(directory: string): string[] {
  try {
    return fs.readdirSync(directory).sort();
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

/** `good`, `masked`, or why the entry does not count. */
function judge(file: string, root: string): string {
  const stat = fs.lstatSync(file);
  if (stat.isFile()) return 'good';
  if (!stat.isSymbolicLink()) return 'it is not a file';
  if (fs.readlinkSync(file) === '/dev/null') return 'masked';
  if (file.startsWith(path.join(root, EPHEMERAL, '/'))) return `links below ${EPHEMERAL} do not count`;
  let target: string;
  try {
    target = fs.realpathSync(file);
  } catch (error) {
    return `the link leads nowhere (${reasonOf(error)})`;
  }
  if (!LOAD_PATHS.some((loadPath) => target.startsWith(path.join(realRoot(root), loadPath, '/')))) {
    return 'the link leads out of the load paths';
  }
  if (path.basename(target) !== path.basename(file)) return 'the link has another name than what it leads to';
  return fs.statSync(target).isFile() ? 'good' : 'it is not a file';
}

const realRoot = (root: string) => fs.realpathSync(root);
