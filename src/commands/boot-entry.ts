import { printable, quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { quotedUrl } from '../console/shown-url.ts';
import { nearest } from '../request/nearest.ts';
import { placeholdersIn } from '../request/placeholder.ts';
import { isHttpUrl } from '../request/url.ts';
import { splitLogin } from '../source/login.ts';
import type { MenuAction } from './boot-menu.ts';
import type { Command, CommandLine } from './command.ts';
import { requireRoot } from './exposure.ts';

const ACTIONS = ['add', 'list', 'remove'] as const;
type Action = MenuAction['action'];

const DEFAULT_TITLE = 'rdpull';

/** UTF-16 code units; menus of firmware cut longer ones. */
const LONGEST_TITLE = 100;

/** What only `add` takes. */
const OPTIONS_OF_ADD = ['title', 'first', 'once', 'interface'] as const;

export const bootEntry: Command = {
  name: 'boot-entry',
  operand: 'add|list|remove',
  secondOperand: 'URL|NUMBER',
  completes: ACTIONS,
  summary: 'make the firmware boot this machine over HTTP: entries of its boot menu, by URL',
  description: `add URL puts an entry into the boot menu of the firmware (UEFI) that boots the UKI at URL over HTTP, through the network
device that reaches the server from here. It comes after all others, unless --first or --once say otherwise. An entry of
the same title and URL is used again.

list shows the menu in the order in which the firmware tries it. remove NUMBER (or URL) takes an entry out; only
those that boot over HTTP are removed.`,
  options: [
    { name: 'title', value: 'TEXT', help: `what the menu shows (${DEFAULT_TITLE})` },
    { name: 'first', help: 'boot it before all others, from now on' },
    { name: 'once', help: 'boot it at the next start, and never again by itself' },
    {
      name: 'interface',
      value: 'NAME',
      help: 'boot through this network device, not through the one that reaches the server; any: through whichever the firmware likes',
    },
  ],
  async run(line, { reporter }) {
    const wanted = parseAction(line);
    if (wanted.action !== 'list') requireRoot('changing the boot menu');
    const { changeBootMenu } = await import('./boot-menu.ts');
    await changeBootMenu(wanted, reporter);
  },
};

function parseAction(line: CommandLine): MenuAction {
  const action = checkedAction(line.operand);
  const what = line.secondOperand;
  if (action !== 'add') {
    const foreign = OPTIONS_OF_ADD.find((name) => line.has(name));
    if (foreign !== undefined)
      throw new RdpullError('bad-option', `--${foreign} is for boot-entry add`, 'leave it out');
  }
  if (action === 'list') {
    if (what === '') return { action };
    throw new RdpullError(
      'bad-argument',
      `boot-entry list takes nothing, and was given ${quotedUrl(what)}`,
      'leave it out',
    );
  }
  if (what === '') {
    const needs = action === 'add' ? 'the URL of a UKI' : 'the number of an entry, or its URL';
    throw new RdpullError(
      'bad-argument',
      `boot-entry ${action} needs ${needs}`,
      'rdpull boot-entry --help lists what it takes',
    );
  }
  if (action === 'remove') return { action, what };
  if (line.has('first') && line.has('once'))
    throw new RdpullError('bad-option', '--first and --once contradict each other', 'leave out one of them');
  return {
    action,
    url: checkedUrl(what),
    title: checkedTitle(line.value('title') ?? DEFAULT_TITLE),
    turn: line.has('first') ? 'first' : line.has('once') ? 'once' : 'last',
    interface: line.value('interface'),
  };
}

function checkedAction(text: string): Action {
  const action = ACTIONS.find((each) => each === text);
  if (action !== undefined) return action;
  const meant = isHttpUrl(text) ? 'add' : nearest(text, ACTIONS);
  throw new RdpullError(
    'bad-argument',
    `boot-entry does not know ${quotedUrl(text)}`,
    meant === undefined ? `it knows ${ACTIONS.join(', ')}` : `did you mean rdpull boot-entry ${meant}?`,
  );
}

function checkedUrl(url: string): string {
  const refuse = (why: string, hint: string) => new RdpullError('bad-url', `${quotedUrl(url)} ${why}`, hint);
  if (!isHttpUrl(url) || !URL.canParse(url))
    throw refuse(
      'is no URL that firmware boots from',
      'write it as http://HOST/image.efi or https://HOST/image.efi',
    );
  if (splitLogin(url).login !== undefined)
    throw refuse(
      'holds a login, which firmware does not use, and which everybody could read in its memory',
      'leave it out',
    );
  const [placeholder] = placeholdersIn(url);
  if (placeholder !== undefined)
    throw refuse(`holds {${placeholder}}, which firmware does not replace`, 'write it out');
  return url;
}

function checkedTitle(title: string): string {
  if (title.length <= LONGEST_TITLE && printable(title) === title) return title;
  throw new RdpullError(
    'bad-option',
    `--title=${quoted(title)}: a title has at most ${LONGEST_TITLE} characters, which can be seen`,
    'write a shorter one',
  );
}
