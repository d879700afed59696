// @ts-check
// What somebody sees who opens `rdpull serve` in a browser. It runs there as it is written here. Machines say what they like: all
// of it becomes text, and nothing else.

/**
 * @typedef {{ name: string, text: string }} Span
 * @typedef {{ begun: number, stage: string, tone: string, image: string, spans: Span[] }} Boot
 * @typedef {{ error: string, message: string, hint: string, retry: string }} Failure
 * @typedef {{
 *   row: number, address: string, name: string, serial: string, uki: string, image: string, stage: string, tone: string,
 *   percent: number | null, amount: string, speed: string, verifiedBy: string, note: string, since: number, updated: number, failure: Failure | null, boots: Boot[]
 * }} Machine
 * @typedef {{ label: string, text: string, isCommand: boolean }} Fact
 * @typedef {{ directory: string, urls: string[], signed: string, ukis: { name: string, size: string, facts: Fact[] }[],
 *   files: { name: string, href: string, size: string, modified: number | null }[], more: number }} Site
 */

/**
 * An element with a class, and text or elements in it.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {...(string | Node)} content
 */
function element(tag, className, ...content) {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  made.append(...content);
  return made;
}

/** @param {string} id */
function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no ${id}`);
  return found;
}

/**
 * Sets the text of an element, if it is another one: what is selected stays so.
 *
 * @param {Element} target
 * @param {string} text
 */
function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

const time = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const date = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** @param {number} milliseconds since 1970 */
function timeElement(milliseconds) {
  const at = new Date(milliseconds);
  const shown = element(
    'time',
    '',
    Date.now() - milliseconds < 43_200_000 ? time.format(at) : date.format(at),
  );
  shown.dateTime = at.toISOString();
  return shown;
}

/**
 * A command, with a button that copies it.
 *
 * @param {string} text
 * @param {string} what it is, for who does not see where the button stands
 */
function command(text, what) {
  const code = element('code', '', text);
  const button = element('button', '', 'Copy');
  button.type = 'button';
  button.setAttribute('aria-label', `Copy ${what}`);
  button.addEventListener('click', () => copy(code, button));
  return element('div', 'command', code, button);
}

/**
 * @param {HTMLElement} code
 * @param {HTMLElement} button
 */
async function copy(code, button) {
  // Selected as well: over plain http a browser may have no clipboard.
  getSelection()?.selectAllChildren(code);
  try {
    await navigator.clipboard.writeText(code.textContent ?? '');
    setText(button, 'Copied');
  } catch {
    setText(button, document.execCommand('copy') ? 'Copied' : 'Selected');
  }
  setTimeout(() => setText(button, 'Copy'), 2000);
}

/** The rows of one machine: what goes on, and below it what went wrong and what went before. */
class MachineRows {
  row = element('tr', 'machine');
  more = element('tr', 'more');
  #name = element('span', '');
  #address = element('span', 'second');
  #image = element('span', '');
  #uki = element('span', 'second');
  #stage = element('span', '');
  #silence = element('span', 'second');
  #note = element('span', 'second');
  #bar = element('progress', '');
  #amount = element('span', '');
  #speed = element('span', 'second');
  #verified = element('td', '');
  #since = element('td', '');
  #failure = element('div', '');
  #boots = element('tbody', '');
  #history = element('details', '');
  #shown = '';
  #shownFailure = '';
  #shownBoots = '';

  constructor() {
    const name = element('th', '', this.#name, this.#address);
    name.scope = 'row';
    name.setAttribute('role', 'rowheader');
    this.#bar.max = 100;
    const cells = [
      labelled('Image', element('td', '', this.#image, this.#uki)),
      labelled('Stage', element('td', '', this.#stage, this.#silence, this.#note)),
      element('td', '', this.#bar, this.#amount, this.#speed),
      labelled('Verified by', this.#verified),
      labelled('Since', this.#since),
    ];
    for (const cell of cells) cell.setAttribute('role', 'cell');
    this.row.append(name, ...cells);
    const head = element('tr', '', ...SPANS.map((each) => element('th', '', each)));
    const table = element(
      'table',
      'boots',
      element('caption', 'heard', 'Last boots'),
      element('thead', '', head),
      this.#boots,
    );
    const scroll = element('div', 'scroll', table);
    // What scrolls has to be reached by the keyboard.
    scroll.tabIndex = 0;
    scroll.setAttribute('role', 'group');
    scroll.setAttribute('aria-label', 'Last boots');
    this.#history.append(element('summary', '', 'Last boots, and where their time went'), scroll);
    const cell = element('td', '', this.#failure, this.#history);
    cell.colSpan = 6;
    cell.setAttribute('role', 'cell');
    this.more.append(cell);
    for (const row of [this.row, this.more]) row.setAttribute('role', 'row');
  }

  /** @param {Machine} machine */
  show(machine) {
    const { name, serial, address, image, uki, stage, tone, percent, amount, speed, verifiedBy, since } =
      machine;
    setText(this.#name, name === '' ? address : name);
    setText(this.#address, [name === '' ? '' : address, serial].filter((each) => each !== '').join(' · '));
    setText(this.#image, image);
    setText(this.#uki, uki === '' ? '' : `booted from ${uki}`);
    setText(this.#stage, stage);
    this.#stage.className = `stage-${tone}`;
    this.#bar.hidden = percent === null;
    this.#bar.value = percent ?? 0;
    this.#bar.setAttribute('aria-label', `Progress of ${name === '' ? address : name}`);
    setText(this.#amount, amount);
    setText(this.#speed, speed);
    setText(this.#verified, verifiedBy);
    setText(this.#note, machine.note);
    if (this.#shown !== String(since)) this.#since.replaceChildren(timeElement(since));
    this.#shown = String(since);
    this.#showFailure(machine.failure, name === '' ? address : name);
    this.#showBoots(machine.boots);
  }

  /**
   * A machine that is under way, and says nothing, may be dead.
   *
   * @param {Machine} machine
   */
  showSilence({ tone, updated }) {
    const isSilent = tone === 'busy' && Date.now() - clockOffset - updated > SILENCE;
    setText(this.#silence, isSilent ? `silent since ${time.format(updated + clockOffset)}` : '');
  }

  /**
   * @param {Failure | null} failure
   * @param {string} name
   */
  #showFailure(failure, name) {
    const key = JSON.stringify(failure);
    if (key === this.#shownFailure) return;
    this.#shownFailure = key;
    if (failure === null) {
      this.#failure.replaceChildren();
      return;
    }
    const { error, message, hint, retry } = failure;
    const facts = element(
      'dl',
      'failure',
      ...fact('What failed', error === '' ? message : `${message} (${error})`),
    );
    if (hint !== '') facts.append(...fact('What to try', hint));
    if (retry !== '')
      facts.append(
        ...fact('Again, on the machine', command(retry, `the command that tries it again on ${name}`)),
      );
    this.#failure.replaceChildren(facts);
  }

  /** @param {Boot[]} boots */
  #showBoots(boots) {
    const key = JSON.stringify(boots);
    if (key === this.#shownBoots) return;
    this.#shownBoots = key;
    this.#history.hidden = boots.length === 0;
    this.#boots.replaceChildren(
      ...boots.map(({ begun, stage, tone, image, spans }) => {
        const when = element('th', '', timeElement(begun));
        when.scope = 'row';
        const result = element('td', '', element('span', `stage-${tone}`, stage));
        const times = SPANS.slice(3).map((span) => spans.find((each) => each.name === span)?.text ?? '–');
        return element(
          'tr',
          '',
          when,
          result,
          element('td', '', image),
          ...times.map((each) => element('td', '', each)),
        );
      }),
    );
  }
}

/** After how long a machine that is under way is said to be silent, and how often that is looked at, in ms. */
const SILENCE = 30_000;
const SILENCE_INTERVAL = 5000;

/** How far the clock of this browser is ahead of the server's, in ms. */
let clockOffset = 0;

/** The columns of the history: machine-view.ts names the spans of time so. */
const SPANS = [
  'Begun',
  'Result',
  'Image',
  'Firmware',
  'UKI',
  'Network',
  'Transfer',
  'Attach',
  'Root',
  'In all',
];

/**
 * @param {string} label
 * @param {HTMLElement} cell
 */
function labelled(label, cell) {
  cell.dataset['label'] = label;
  return cell;
}

/**
 * @param {string} name
 * @param {string | Node} value
 */
function fact(name, value) {
  return [element('dt', '', name), element('dd', '', value)];
}

/** @type {Map<number, { rows: MachineRows, machine: Machine }>} */
const machines = new Map();

/** @param {{ all: boolean, machines: Machine[], gone: number[], now: number }} news */
function showMachines({ all, machines: changed, gone, now }) {
  clockOffset = Date.now() - now;
  const body = byId('rows');
  const kept = new Set(changed.map(({ row }) => row));
  for (const row of all ? [...machines.keys()].filter((each) => !kept.has(each)) : gone) remove(row);
  for (const machine of changed) {
    const known = machines.get(machine.row);
    const rows = known?.rows ?? new MachineRows();
    rows.show(machine);
    rows.showSilence(machine);
    if (known === undefined) body.append(rows.row, rows.more);
    else announce(known.machine, machine);
    machines.set(machine.row, { rows, machine });
  }
  summarize();
}

/** @param {number} row */
function remove(row) {
  const known = machines.get(row);
  known?.rows.row.remove();
  known?.rows.more.remove();
  machines.delete(row);
}

/**
 * Says aloud what somebody waits for; not each percent.
 *
 * @param {Machine} before
 * @param {Machine} now
 */
function announce(before, now) {
  if (before.stage === now.stage || now.tone === 'busy') return;
  const name = now.name === '' ? now.address : now.name;
  setText(byId('heard'), `${name}: ${now.stage}${now.failure === null ? '' : `. ${now.failure.message}`}`);
}

function summarize() {
  const all = [...machines.values()].map(({ machine }) => machine.tone);
  /** @param {string} tone */
  const count = (tone) => all.filter((each) => each === tone).length;
  const parts = [`${all.length} ${all.length === 1 ? 'machine' : 'machines'}`];
  for (const [tone, words] of [
    ['busy', 'under way'],
    ['good', 'up'],
    ['bad', 'failed'],
  ]) {
    if (tone !== undefined && count(tone) > 0) parts.push(`${count(tone)} ${words}`);
  }
  byId('none').hidden = all.length > 0;
  byId('machines').hidden = all.length === 0;
  setText(byId('summary'), all.length === 0 ? '' : parts.join(', '));
  document.title = count('bad') > 0 ? `(${count('bad')} failed) rdpull serve` : 'rdpull serve';
}

/** @param {Site} site */
function showSite({ directory, urls, signed, ukis, files, more }) {
  setText(byId('directory'), directory);
  byId('urls').replaceChildren(
    ...urls.map((url) => {
      const link = element('a', '', url);
      link.href = url;
      return element('li', '', link);
    }),
  );
  setText(byId('signed'), signed);
  byId('ukis').replaceChildren(
    ...ukis.flatMap(({ name, size, facts }) => [
      element('h3', '', `${name} (${size})`),
      element(
        'dl',
        'uki',
        ...facts.flatMap(({ label, text, isCommand }) =>
          fact(label, isCommand ? command(text, `the line for ${label}`) : element('code', '', text)),
        ),
      ),
    ]),
  );
  byId('files').replaceChildren(
    ...files.map(({ name, href, size, modified }) => {
      const link = element('a', '', name);
      link.href = href;
      const head = element('th', '', link);
      head.scope = 'row';
      return element(
        'tr',
        '',
        head,
        element('td', '', size),
        element('td', '', modified === null ? '' : timeElement(modified)),
      );
    }),
  );
  setText(byId('more'), more === 0 ? '' : `and ${more} more`);
}

function connect() {
  const state = byId('state');
  const source = new EventSource('/.rdpull/events');
  source.addEventListener('open', () => {
    setText(state, 'live');
    state.className = '';
  });
  source.addEventListener('error', () => {
    setText(state, 'the server does not answer: what is below is from before');
    state.className = 'lost';
    // A browser gives up when it is refused; the server may come back.
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(connect, 2000);
  });
  source.addEventListener('machines', ({ data }) => showMachines(JSON.parse(data)));
  source.addEventListener('site', ({ data }) => showSite(JSON.parse(data)));
}

connect();
setInterval(() => {
  for (const { rows, machine } of machines.values()) rows.showSilence(machine);
}, SILENCE_INTERVAL);
