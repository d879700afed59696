import type { Case, Outcome, Transfer } from './differential-case.ts';
import { type Fields, splitExpression } from './differential-expression.ts';

/**
 * A way in which rdpull deviates from systemd-import-generator, narrow enough to say exactly what rdpull does instead.
 * The differential test fails on what is not listed here, and on what is listed and does not occur.
 */
export type Difference = {
  readonly what: string;
  readonly reason: string;
} & (
  | {
      /** rdpull takes the expression for another one, on which systemd agrees; undefined: not this one. */
      readonly means: (fields: Fields, each: Case) => Fields | undefined;
      /** What remains different then. */
      readonly but?: (transfer: Transfer, fields: Fields) => Transfer;
    }
  /** rdpull takes the credential for another one, on which systemd agrees; undefined: not this one. */
  | { readonly reads: (credential: string) => string | undefined }
  /** rdpull refuses an expression of which systemd makes this transfer, or aborts. */
  | { readonly refuses: (fields: Fields, transfer: Transfer | 'aborted', each: Case) => boolean }
  /** rdpull makes a transfer of what systemd refuses. */
  | { readonly allows: (transfer: Transfer) => boolean }
  /** rdpull sees a whole command line otherwise; undefined: not this one. */
  | { readonly makes: (each: Case, outcome: Outcome) => Outcome | undefined }
);

const DIGEST = /^verify=(?:sha256:)?([0-9a-fA-F]{64})$/;
const VERIFY = /^verify=(?:no|checksum|signature)$/;
const PLACEHOLDERS = ['machine-id', 'hostname', 'arch', 'kernel', 'serial', 'uuid', 'mac'];
const ACTIONS =
  /^(?:none|reboot|reboot-force|reboot-immediate|poweroff|poweroff-force|poweroff-immediate|exit|exit-force|soft-reboot|soft-reboot-force|kexec|kexec-force|halt|halt-force|halt-immediate)?$/;

export const DIFFERENCES: readonly Difference[] = [
  {
    what: 'a backslash that is left in OPTIONS is part of an option',
    reason:
      'systemd takes escapes out of OPTIONS twice, when it splits at colons and again at commas, so that ro\\\\, hides the comma',
    means: (fields) => {
      if (!fields.options.some((option) => option.includes('\\'))) return undefined;
      return { ...fields, options: fields.options.map((option) => option.replaceAll('\\', '\\\\')) };
    },
  },
  {
    what: 'the colon in verify=sha256:HEX need not be escaped',
    reason: 'an option of our own, in which nobody would escape it; systemd takes HEX for the local name',
    means: (fields) => {
      let meant = fields;
      for (;;) {
        const [, hex = '', more] = /^([0-9a-fA-F]{64})(,.*)?$/s.exec(meant.local) ?? [];
        const rest = splitExpression(`:${meant.remote}`);
        if (meant.options.at(-1) !== 'verify=sha256' || hex === '' || rest === undefined) break;
        const options = [
          ...meant.options.slice(0, -1),
          `verify=sha256:${hex}`,
          ...(more?.slice(1).split(',') ?? []),
        ];
        meant = { options, local: rest.local, remote: rest.remote };
      }
      return meant === fields ? undefined : meant;
    },
  },
  {
    what: 'verify=yes is the same as verify=signature',
    reason:
      'an option of our own: who writes yes wants it verified; systemd ignores the word and keeps the mode before it',
    means: replaceOptions((option) => (option === 'verify=yes' ? 'verify=signature' : option)),
  },
  {
    what: 'verify=sha256:HEX, also as HEX alone, pins the digest',
    reason:
      "an option of our own (systemd's TODO asks for it); systemd ignores the word and keeps the mode before it",
    means: replaceOptions((option) => (DIGEST.test(option) ? 'verify=signature' : option)),
    but: (transfer, { options }) => {
      const digest = DIGEST.exec(
        options.findLast((option) => DIGEST.test(option) || VERIFY.test(option)) ?? '',
      )?.[1];
      return digest === undefined ? transfer : { ...transfer, verify: `sha256:${digest.toLowerCase()}` };
    },
  },
  {
    what: 'a verify=sha256 that is no digest is refused',
    reason:
      'systemd ignores the word, so that the mode before it stays in force, which may be a weaker one than was meant',
    refuses: ({ options }) =>
      options.some((option) => /^verify=sha-?256/i.test(option) && !DIGEST.test(option)),
  },
  {
    what: 'bootorigin needs no REMOTE, nor the colon before it; without LOCAL too the image is called bootorigin',
    reason: 'an extension of our own: the image is called like the UKI; systemd refuses the expression',
    means: (fields, { bootUrl = '' }) => {
      if (fields.remote !== '' || !fields.options.includes('bootorigin')) return undefined;
      const type = fields.options.findLast((option) => option === 'raw' || option === 'tar');
      const stem = ukiStem(bootUrl);
      if (stem === undefined) return undefined;
      return { ...fields, local: fields.local || 'bootorigin', remote: `${stem}.${type}.xz` };
    },
  },
  {
    what: 'file:/NAME and file:///NAME derive the local name from NAME',
    reason:
      'systemd takes the first component of a file URL for a host, so that a file in the root directory has no name',
    means: ({ options, local, remote }) => {
      const [, file] = /^file:(?:\/|\/{3,})([^/?#]+\/*(?:[?#].*)?)$/s.exec(remote) ?? [];
      return local !== '' || file === undefined || options.includes('bootorigin')
        ? undefined
        : { options, local, remote: `file://host/${file}` };
    },
    but: (transfer, { remote }) => ({ ...transfer, remote }),
  },
  {
    what: 'oci does not end the generator',
    reason: 'systemd aborts, and all other expressions of the command line are lost',
    refuses: (_fields, transfer) => transfer === 'aborted',
  },
  {
    what: 'a container image is pulled',
    reason: "importctl pulls them, and systemd's generator aborts on them",
    allows: ({ type }) => type === 'oci',
  },
  {
    what: 'control characters in REMOTE are refused',
    reason: 'no server was ever reached with one, and URLs end up in unit files and on terminals',
    refuses: ({ remote }) => /[\x00-\x1f\x7f]/.test(remote),
  },
  {
    what: 'bootorigin with a REMOTE that names no file derives no local name',
    reason:
      'systemd names the image after the directory of the UKI; units are written before rdpull asks for the boot URL',
    refuses: ({ options, local, remote }) =>
      options.includes('bootorigin') && local === '' && /^\/*(?:[?#]|$)/.test(remote),
  },
  {
    what: 'a URL without host and path cannot be pulled',
    reason: 'systemd takes it when LOCAL is given, and the download fails',
    refuses: ({ options, remote }) =>
      !options.includes('bootorigin') && /^(?:https?:\/\/|file:\/)\/*(?:[?#]|$)/.test(remote),
  },
  {
    what: 'a derived local name that is no image name is refused',
    reason: 'systemd writes the unit, and its download fails when it is started',
    refuses: ({ local }, transfer) => transfer !== 'aborted' && local === '' && !isImageName(transfer.local),
  },
  {
    what: 'U+FFFD in a local name is refused',
    reason:
      'it stands for bytes that are no UTF-8, which systemd refuses too: whoever decoded them has lost the difference',
    refuses: ({ local }) => local.includes('\ufffd'),
  },
  {
    what: 'bytes of one character with a backslash or a quote between them make no local name',
    reason:
      'rdpull reads the command line as UTF-8 before it splits it, systemd splits bytes; nobody writes this',
    refuses: ({ local }, _transfer, { commandLine }) =>
      (local.match(/[\udc80-\udcff]+/gu) ?? []).some((bytes) => !commandLine.includes(bytes)),
  },
  {
    what: 'an unknown placeholder in REMOTE is refused',
    reason:
      'an extension of our own: {machine-id} and the like are replaced when the image is pulled, braces are %7B and %7D',
    refuses: ({ remote }) => placeholders(remote).some((name) => !PLACEHOLDERS.includes(name)),
  },
  {
    what: '{mac} in the name of the server is refused',
    reason:
      'it is the address of the interface that reaches the server, which is known only when the server is',
    refuses: ({ options, remote }) =>
      !options.includes('bootorigin') && /^(?:https?:\/\/[^/?#]*|file:.*)\{mac\}/.test(remote),
  },
  {
    what: 'a placeholder in the file name derives no local name',
    reason: 'the unit that pulls is named after it, and is written before the machine is asked who it is',
    refuses: ({ local, remote }) =>
      local === '' && placeholders(/[^/]*\/*$/.exec(remote.replace(/[?#].*$/s, ''))?.[0] ?? '').length > 0,
  },
  {
    what: 'without root= the only machine image of an initrd becomes the root, for which a raw one is attached',
    reason: 'a feature of our own: systemd leaves it at the download, and the boot waits for a root in vain',
    makes: ({ inInitrd, commandLine }, outcome) => {
      if (outcome === 'aborted' || !inInitrd || /(?:^|\s)root=/.test(commandLine.replace(/['"]/g, '')))
        return undefined;
      const [only, ...others] = outcome.filter((transfer) => transfer.class === 'machine');
      if (only?.type !== 'raw' || only.imageRoot !== '/run/machines' || others.length > 0) return undefined;
      return outcome.map((transfer) => (transfer === only ? { ...transfer, blockdev: true } : transfer));
    },
  },
  {
    what: 'the path of an image may be eight bytes longer',
    reason:
      'both name units after it and have 255 bytes for that; systemd-import@ takes eight of them more than rdpull@',
    allows: ({ instance }) => {
      const length = `systemd-import@${instance}.service`.length;
      return length > 255 && length <= 255 + 'systemd-import'.length - 'rdpull'.length;
    },
  },
  {
    what: 'all white space around a line of the credential is stripped, and a byte order mark',
    reason:
      'systemd knows space and tab alone, and takes what an editor left there for a part of the expression',
    reads: ofLines((line) => line.trim()),
  },
  {
    what: 'a line of the credential that is too long is left out alone',
    reason:
      'systemd stops reading there: the expressions behind it are lost; it counts the space around the line, too',
    reads: ofLines((line) => (Buffer.byteLength(line.trim()) < 2048 ? line.trim() : undefined)),
  },
  {
    what: 'an action that systemd.unit(5) does not know is ignored, and the one before it stays',
    reason:
      'systemd writes whatever it is given into every unit, where the line is dropped with a warning when units are loaded',
    makes: ({ successActions, failureActions }, outcome) => {
      if ([...successActions, ...failureActions].every((action) => ACTIONS.test(action))) return undefined;
      const successAction = successActions.findLast((action) => ACTIONS.test(action)) ?? '';
      const failureAction = failureActions.findLast((action) => ACTIONS.test(action)) ?? '';
      if (outcome === 'aborted') return outcome;
      return outcome.map((transfer) => ({ ...transfer, successAction, failureAction }));
    },
  },
];

function replaceOptions(replace: (option: string) => string): (fields: Fields) => Fields | undefined {
  return (fields) => {
    const options = fields.options.map(replace);
    return options.join() === fields.options.join() ? undefined : { ...fields, options };
  };
}

function ofLines(read: (line: string) => string | undefined): (credential: string) => string | undefined {
  return (credential) => {
    const lines = credential.split('\n').flatMap((line) => read(line) ?? []);
    return lines.join('\n') === credential ? undefined : lines.join('\n');
  };
}

function placeholders(remote: string): string[] {
  return [...remote.matchAll(/\{([a-z-]+)\}/g)].map(([, name = '']) => name);
}

/** systemd's image_name_is_valid(). */
function isImageName(name: string): boolean {
  return /^(?!\.{0,2}$|\.#)[^/\x00-\x1f\x7f]+$/.test(name) && Buffer.byteLength(name) <= 255;
}

/** What the file of a UKI is called, without its suffix. */
function ukiStem(bootUrl: string): string | undefined {
  // systemd-stub may leave two bytes too many: 7f 04.
  const path = bootUrl.replace(/[\0?#].*$/s, '').replace(/\/*\x7f?\x04?$/, '');
  return /^https?:\/\/+[^/]+\/(?:.*\/)?([^/]+?)(?:\.efi)?$/.exec(path)?.[1];
}
