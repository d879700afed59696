/** Prints the source of rdpull-errors(7) from the code: bun scripts/errors-page.ts >src/console/rdpull-errors.7.md. A test compares. */
import { ERROR_REMEDIES } from '../src/console/error-remedies.ts';
import { JOURNAL_EVENTS, JOURNAL_FIELDS } from '../src/console/journal-events.ts';
import { codesOf, type ErrorCode, type ErrorFamily, EXIT_STATUS } from '../src/console/rdpull-error.ts';

/** What each family has in common. */
const FAMILIES: Readonly<Record<ErrorFamily, string>> = {
  usage: 'What was asked for makes no sense. Nothing was started.',
  network: 'No usable answer came over the network. A pull has tried for as long as **--patience=** says.',
  http: 'The server answered, but not with the file.',
  decode: 'The bytes arrived, but are not what their format says, or more than the limits allow.',
  verify: 'The bytes are not the ones that were promised, or nobody who is trusted has promised them.',
  storage: 'The files on this machine.',
  device: 'The devices and mounts of the kernel.',
  internal: 'A defect.',
};

export function errorsPage(): string {
  return `# rdpull-errors 7 "" "rdpull" "System boot"

# NAME

rdpull-errors - what can go wrong with rdpull, and what to try

# DESCRIPTION

A command of **rdpull**(1) that fails says in its message what failed and why, and behind **try:** what to do in this
case. The kind of failure is the exit status. The code is in the journal (**RDPULL_ERROR=**) and, with **--json**, in
**error.code**. Whatever fails, nothing unfinished is left behind, and nothing unverified gets the name of the image. Only
what is read on demand stays attached while it is in use: what is there can be read, and the rest is an error.

This list holds every code. To see the failures of this boot with all fields, where the error comes from among them:

    journalctl -b -o verbose MESSAGE_ID=${JOURNAL_EVENTS.failed.id}

${Object.keys(FAMILIES).filter(isFamily).map(familySection).join('\n')}
# WHAT THE KERNEL SAYS

While an image is read before it is there (on-demand), some lines on the console are not rdpull's:

**INFO: task NAME:NUMBER blocked for more than 120 seconds.**
: Somebody looks for a file in the image, and the server that has that part is away. The lines below it, from **Call Trace:** on, show where he
waits, and it is said again every two minutes, ten times at most. Nothing is broken: rdpull asks the server again and again (its line ends with
"reads wait; trying again"), and when the server is back, he goes on. _Try:_ Bring the server back, with the same file;
**rdpull status** says which. Leave **hung_task_panic=1** out of the command line and of sysctl.d, or say **kernel.hung_task_timeout_secs=0**: the machine would
stop there.

**I/O error, dev loop0, sector NUMBER** (and **EXT4-fs error**, **SQUASHFS error**, **erofs: ... I/O error**)
: A part of the image cannot be had any more: the server has another image (rdpull has said so), or rdpull was killed (systemd says
**code=killed, status=9/KILL**). What was read before may still be right; nothing that is read is wrong. _Try:_ Boot again;
**rdpull status** says what became of the image.

**device-mapper: verity: ... data block NUMBER is corrupted**
: What came is not what was signed. _Try:_ Upload the image again; if it is right there, look at what is between the server and this machine.

**loop0: ... Unable to finalize remaining loop devices, ignoring.**
: systemd-shutdown has switched the machine off while it ran on the image. It is always said then, and harmless.

# JOURNAL

As a service, rdpull tells the journal what happens with fields beside the text. **RDPULL_URL=** and **RDPULL_TARGET=** are
in all entries from the time on when they are known, **PRIORITY=7** has each step. These can be looked for by
**MESSAGE_ID=**, and always have the fields behind it:

${Object.entries(JOURNAL_EVENTS).map(eventEntry).join('\n')}
Some have others as well: **journalctl -o verbose** shows them, **journalctl -x** explains the event.

# SEE ALSO

**rdpull**(1), **rdpull.pull**(7), **rdpull-json**(7), **journalctl**(1)
`;
}

const isFamily = (name: string): name is ErrorFamily => name in FAMILIES;

function familySection(family: ErrorFamily): string {
  return `# EXIT STATUS ${EXIT_STATUS[family]}: ${family.toUpperCase()}

${FAMILIES[family]}

${codesOf(family).map(codeEntry).join('\n')}`;
}

function codeEntry(code: ErrorCode): string {
  const { cause, remedy } = ERROR_REMEDIES[code];
  return `**${code}**
: ${escaped(cause)} _Try:_ ${escaped(remedy)}
`;
}

function eventEntry([name, { id, fields }]: [
  string,
  (typeof JOURNAL_EVENTS)[keyof typeof JOURNAL_EVENTS],
]): string {
  const named = fields.map((field) => `**${JOURNAL_FIELDS[field]}=**`);
  return `**${id}** (${name})\n: ${named.length === 0 ? 'none' : named.join(', ')}\n`;
}

/** Markdown takes some signs for its own. */
function escaped(text: string): string {
  return text.replaceAll(/[<>*_`]/g, '\\$&');
}

if (import.meta.main) process.stdout.write(errorsPage());
