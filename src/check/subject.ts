import fs from 'node:fs';
import { quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shellWord } from '../console/shell-command.ts';
import { quotedUrl, shownUrl } from '../console/shown-url.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { kernelParameters, sameKey, splitWords } from '../request/kernel-command-line.ts';
import { nearest } from '../request/nearest.ts';
import { lastComponent } from '../request/url.ts';
import { startsLikeExecutable } from '../uki/portable-executable.ts';

/** What is to be checked. */
export type Subject =
  | { readonly kind: 'machine' }
  | { readonly kind: 'uki'; readonly file: string }
  | { readonly kind: 'command line'; readonly text: string }
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'expression'; readonly text: string };

const PULL = 'systemd.pull';

/**
 * Tells by its form what `operand` is: nothing stands for this machine, a file is a UKI, a text with systemd.pull= is a
 * kernel command line, and what is left is a URL or an expression.
 *
 * @throws RdpullError of the usage family, file-not-found
 */
export function subjectOf(operand: string): Subject {
  if (operand === '') return { kind: 'machine' };
  if (isUki(operand)) return { kind: 'uki', file: operand };
  if (asksForPull(operand)) return { kind: 'command line', text: operand };
  const misspelt = misspeltKey(operand);
  if (misspelt !== undefined) throw misspelt;
  if (/^(?:[a-z][a-z0-9+.-]*:\/\/|file:\/)/i.test(operand)) {
    if (!/\.efi$/i.test(safeName(operand))) return { kind: 'url', url: operand };
    throw new RdpullError(
      'bad-argument',
      `${quotedUrl(operand)} is the URL of a UKI, and check reads a UKI from a file`,
      `download it, and tell where it is booted from: rdpull check FILE --boot-url=${shellWord(shownUrl(operand))}`,
    );
  }
  const other = otherThanUki(operand);
  if (other !== undefined) throw other;
  if (/\.efi$/i.test(operand)) {
    throw new RdpullError('file-not-found', `there is no file ${shownUrl(operand)}`, 'check the path');
  }
  return { kind: 'expression', text: operand };
}

/** Whether the initrd or the host finds anything to pull in a kernel command line. */
export function asksForPull(commandLine: string): boolean {
  return [true, false].some((inInitrd) =>
    kernelParameters(commandLine, inInitrd).some(({ key }) => sameKey(key, PULL)),
  );
}

function isUki(operand: string): boolean {
  let fd: number;
  try {
    if (!fs.statSync(operand).isFile()) return false;
    fd = fs.openSync(operand, 'r');
  } catch (error) {
    // Whatever is wrong with it, reading it will tell.
    return /\.efi$/i.test(operand) && !isSystemError(error, 'ENOENT', 'ENOTDIR');
  }
  try {
    const start = new Uint8Array(2);
    fs.readSync(fd, start);
    return startsLikeExecutable(start) || /\.efi$/i.test(operand);
  } finally {
    fs.closeSync(fd);
  }
}

/** What is there under this name, and is none; undefined where nothing is. */
function otherThanUki(operand: string): RdpullError | undefined {
  let stat: fs.Stats;
  try {
    stat = fs.statSync(operand);
  } catch {
    // An expression need not even be fit for a name.
    return undefined;
  }
  const [what, hint] = stat.isFile()
    ? [
        'is a file, but no UKI: it does not begin with "MZ", as EFI programs do',
        'name the UKI itself, or check an image with rdpull verify',
      ]
    : [
        `is ${stat.isDirectory() ? 'a directory' : 'not a regular file'}, and no UKI`,
        'name the file of a UKI',
      ];
  return new RdpullError('bad-argument', `${quoted(operand)} ${what}`, hint);
}

function misspeltKey(operand: string): RdpullError | undefined {
  for (const word of splitWords(operand)) {
    const [key = '', ...value] = word.split('=');
    if (value.length === 0 || key.includes(':') || key.includes(',')) continue;
    const meant = nearest(key, [`rd.${PULL}`, PULL]);
    if (meant === undefined) continue;
    return new RdpullError(
      'bad-argument',
      `there is no ${PULL}= in the kernel command line, but ${quoted(`${key}=`)}`,
      `did you mean ${meant}=?`,
    );
  }
  return undefined;
}

function safeName(url: string): string {
  try {
    return lastComponent(url) ?? '';
  } catch (error) {
    if (error instanceof RdpullError) return '';
    throw error;
  }
}
