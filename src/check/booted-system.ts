import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl, withoutSecrets } from '../console/shown-url.ts';
import { quoteWord, readGeneratorInput } from '../generator/generator-input.ts';
import type { GeneratorInput } from '../generator/unit-plan.ts';
import { imageTypeOf } from '../request/image-name.ts';
import { splitWords } from '../request/kernel-command-line.ts';
import { isNvmeUrl } from '../request/nvme-url.ts';
import { lastComponent } from '../request/url.ts';
import { malformedUki } from '../uki/malformed-uki.ts';
import { openUki, type Uki } from '../uki/uki.ts';
import type { Findings } from './finding.ts';
import { type InitrdContent, readInitrdContent } from './initrd-content.ts';
import { asksForPull, type Subject } from './subject.ts';

/** The longest command line that the kernel keeps, in bytes: COMMAND_LINE_SIZE of x86 and ARM64, less its NUL. */
const COMMAND_LINE_MAX = 2047;
/** The longest release of a kernel: __NEW_UTS_LEN of linux/utsname.h. */
const RELEASE_MAX = 64;

const SYSTEM_CREDENTIALS = {
  CREDENTIALS_DIRECTORY: '/run/credentials/@system',
  ENCRYPTED_CREDENTIALS_DIRECTORY: '/run/credentials/@encrypted',
};

/** What is read of the boot before anything is planned. */
export interface Boot {
  readonly commandLine: string;
  readonly credential: GeneratorInput['credential'];
  readonly uki: BootedUki | undefined;
}

export interface BootedUki {
  readonly file: string;
  readonly size: number;
  readonly release: string | undefined;
  readonly architecture: Uki['architecture'];
  /** undefined when it could not be read, or is not there. */
  readonly initrd: InitrdContent | undefined;
}

/**
 * Finds out what would be booted, and looks into it.
 *
 * @throws RdpullError of the usage family when it asks for no pull; file-not-found, file-unreadable, uki-malformed
 */
export async function readBoot(subject: Subject, findings: Findings): Promise<Boot> {
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
  if (isNvmeUrl(url)) return `raw,machine,verify=no:root:${url}`;
  let name = '';
  try {
    name = lastComponent(url) ?? '';
  } catch (error) {
    // Parsing the expression says what is wrong with the URL.
    if (!(error instanceof RdpullError)) throw error;
  }
  return `${imageTypeOf(name)},machine::${url}`;
}

async function readUki(file: string, findings: Findings): Promise<Boot> {
  using uki = openUki(file);
  const commandLine = uki.text('.cmdline') ?? '';
  const kept = Buffer.from(commandLine).subarray(0, COMMAND_LINE_MAX).toString();
  const release = requireKernel(uki, file);
  sayUki(uki, file, release, findings);
  requirePull(kept, file);
  sayCommandLine(kept, Buffer.byteLength(commandLine), findings);
  const { size, architecture } = uki;
  const initrd = await readUkiInitrd(uki, findings);
  return {
    commandLine: kept,
    credential: undefined,
    uki: { file, size, release, architecture, initrd },
  };
}

/**
 * @returns the release of its kernel, if it says that
 * @throws RdpullError uki-malformed
 */
function requireKernel(uki: Uki, file: string): string | undefined {
  const release = uki.text('.uname');
  if (release !== undefined && release.length > RELEASE_MAX) {
    throw malformedUki(
      `its section .uname has ${release.length} characters, and no kernel is called like that`,
    );
  }
  if (uki.chunks('.linux') !== undefined) return release;
  throw new RdpullError(
    'uki-malformed',
    `${printable(file)} is an EFI program, but no UKI: it has no section .linux`,
    'name the UKI itself, as ukify or mkosi has made it',
  );
}

function sayUki({ profiles }: Uki, file: string, release: string | undefined, findings: Findings): void {
  const kernel = release === undefined ? '' : `, Linux ${printable(release)}`;
  findings.ok('uki', `${printable(path.basename(file))}${kernel}`);
  if (profiles < 2) return;
  findings.warn(
    'uki',
    `it has ${profiles} profiles: the first one is checked, which is booted when nobody chooses`,
  );
}

/** @throws RdpullError bad-argument */
function requirePull(commandLine: string, file: string): void {
  if (asksForPull(commandLine)) return;
  throw new RdpullError(
    'bad-argument',
    commandLine === ''
      ? `${printable(file)} has no command line`
      : `the command line of ${printable(file)} asks for no pull: ${shownLine(commandLine)}`,
    'build it with --cmdline "rd.systemd.pull=raw,machine,bootorigin::"',
  );
}

/** @param bytes how long it is in the UKI */
function sayCommandLine(kept: string, bytes: number, findings: Findings): void {
  findings.ok('command line', shownLine(kept));
  if (bytes <= COMMAND_LINE_MAX) return;
  findings.warn(
    'command line',
    `it is ${bytes} bytes long, and the kernel keeps ${COMMAND_LINE_MAX}`,
    'shorten it: what is behind is cut off',
  );
}

async function readUkiInitrd(uki: Uki, findings: Findings): Promise<InitrdContent | undefined> {
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

/** A kernel command line as it may be printed. */
function shownLine(commandLine: string): string {
  return printable(splitWords(commandLine).map(withoutSecrets).join(' '));
}
