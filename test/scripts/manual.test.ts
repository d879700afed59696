import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { COMPLETED_COMMANDS } from '../../scripts/completion-words.ts';
import { RECORDED_STATES } from '../../src/record/transfer-record.ts';
import { PLACEHOLDERS } from '../../src/request/placeholder.ts';
import { PULL_OPTIONS } from '../../src/request/pull-options.ts';
import { RDPULL } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const ROOT = path.resolve(import.meta.dir, '../..');
const MAN = `${ROOT}/dist/man`;

/** Those of systemd 261's generator (systemd-import-generator(8)). */
const SYSTEMD_OPTIONS = [
  ...['raw', 'tar', 'machine', 'portable', 'sysext', 'confext'],
  ...['ro', 'rw', 'verify=', 'blockdev', 'bootorigin', 'runtime='],
];

const sources = [...new Bun.Glob('**/*.[1-8].md').scanSync(`${ROOT}/src`)].sort();
/** `rdpull.1` */
const PAGES = sources.map((source) => path.basename(source, '.md'));

beforeAll(() => {
  fs.mkdirSync(MAN, { recursive: true });
  fs.writeFileSync(`${MAN}/rdpull-gone.1`, '');
  run([`${ROOT}/scripts/man`]);
});

/** A page as text, without the effects of a terminal and without line breaks of its own. */
function text(page: string): string {
  const env = { PATH: process.env['PATH'], MANWIDTH: '2000', LC_ALL: 'C', MAN_KEEP_FORMATTING: '' };
  return run(['man', '--local-file', `${MAN}/${page}`], { env })
    .toString()
    .replaceAll(/.\x08/g, '');
}

test('there is a page for the program, the generator and the expression, and none that has no source', () => {
  for (const page of ['rdpull.1', 'rdpull-generator.8', 'rdpull.pull.7']) expect(PAGES).toContain(page);
  expect(fs.readdirSync(MAN).sort()).toEqual([...PAGES].sort());
});

describe.each(PAGES)('%s', (page) => {
  test('is a manual page without a fault, for groff and for mandoc', () => {
    const file = `${MAN}/${page}`;
    const groff = Bun.spawnSync(['groff', '-man', '-Tascii', '-ww', file]);
    expect(groff.stderr.toString()).toBe('');
    const man = Bun.spawnSync(['man', '--warnings', '--encoding=UTF-8', '--local-file', file]);
    expect(man.stderr.toString()).toBe('');
    // The date stays empty, so that every build is the same.
    const lint = Bun.spawnSync(['mandoc', '-T', 'lint', '-W', 'warning', file]).stdout.toString();
    expect(lint.replace(/^.* missing date.*\n/m, '')).toBe('');
  });

  test('is found by its name', () => {
    const name = page.replace(/\.\d$/, '');
    expect(run(['lexgrog', `${MAN}/${page}`]).toString()).toContain(`"${name} - `);
  });

  test('leads only to pages that exist', () => {
    for (const [, name = '', section = ''] of text(page).matchAll(/\b(rdpull[\w.-]*)\((\d)\)/g)) {
      expect(PAGES).toContain(`${name}.${section}`);
    }
  });
});

test('rdpull(1) explains every option of every command', () => {
  const page = text('rdpull.1');
  for (const { name, options } of COMPLETED_COMMANDS) {
    if (options.length === 0) continue;
    expect(page).toContain(`   rdpull ${name} `);
    for (const option of options) {
      const spelling =
        option.value === undefined ? `--${option.name}` : `--${option.name}=${option.value.name}`;
      expect(page).toMatch(new RegExp(`^ +${spelling.replaceAll(/[|.]/g, '\\$&')}( |$)`, 'm'));
    }
  }
});

describe('a list that a page repeats is that of the code:', () => {
  const source = (page: string) => fs.readFileSync(`${ROOT}/src/${page}`, 'utf8');
  const section = (page: string, title: string) =>
    source(page)
      .split(/^# /m)
      .find((each) => each.startsWith(`${title}\n`)) ?? '';
  /** What stands in bold before the explanations of a section. */
  const terms = (page: string, title: string) =>
    [...section(page, title).matchAll(/^(\*\*.*)\n: /gm)].flatMap(([, heads = '']) =>
      [...heads.matchAll(/\*\*([^*]+)\*\*/g)].map(([, term = '']) => term),
    );

  test('the options of an expression', () => {
    const options = terms('request/rdpull.pull.7.md', 'OPTIONS').map((term) =>
      PULL_OPTIONS.includes(term) ? term : term.replace(/=.*$/, '='),
    );
    expect([...new Set(options)].sort()).toEqual([...PULL_OPTIONS].sort());
  });

  test('what an expression has beside that of systemd', () => {
    const title = 'DIFFERENCES FROM systemd-import-generator(8)';
    const sentences = section('generator/rdpull-generator.8.md', title).split(/\.\s/);
    const said = sentences.find((sentence) => sentence.endsWith("are rdpull's own")) ?? '';
    const own = [...said.matchAll(/\*\*([^*]+)\*\*/g)].map(([, option = '']) => option);
    expect(own).toEqual(
      expect.arrayContaining(PULL_OPTIONS.filter((option) => !SYSTEMD_OPTIONS.includes(option))),
    );
    expect(own.filter((option) => SYSTEMD_OPTIONS.includes(option))).toEqual([]);
  });

  test('the options of rdpull pull in the table of the README', () => {
    const table = fs
      .readFileSync(`${ROOT}/README.md`, 'utf8')
      .split('| option of `rdpull pull` | meaning |\n')[1]
      ?.split('\n\n')[0];
    const shown = [...(table ?? '').matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`--([a-z-]+)/g)].map(([, name = '']) => name),
    );
    const { options = [] } = COMPLETED_COMMANDS.find(({ name }) => name === 'pull') ?? {};
    const taken = options.map(({ name }) => name).filter((name) => name !== 'help');
    expect(shown.sort()).toEqual(taken.sort());
  });

  test('the placeholders', () => {
    const placeholders = terms('request/rdpull.pull.7.md', 'PLACEHOLDERS');
    expect(placeholders.sort()).toEqual(PLACEHOLDERS.map((name) => `{${name}}`).sort());
  });

  test.each([
    ['transfers[].state', 'status/transfer-status.ts', 'TransferState', RECORDED_STATES],
    ['checks[].stage', 'check/finding.ts', 'Stage', []],
    ['compression', 'decode/compression-magic.ts', 'Compression', []],
  ])('%s in rdpull-json(7)', (field, file, type, others) => {
    const [, union = ''] = new RegExp(`type ${type} =([^;]+);`).exec(source(file)) ?? [];
    const values = [...others, ...[...union.matchAll(/'([^']+)'/g)].map(([, value = '']) => value)];
    const [, said = ''] = source('commands/rdpull-json.7.md').split(`\n**${field}** `)[1]?.split('\n') ?? [];
    expect(
      said
        .replace(': ', '')
        .split(/, | or /)
        .sort(),
    ).toEqual(values.sort());
  });
});

/** Where a text says which section of which page it means: `CREDENTIALS in **rdpull**(1)`, `rdpull(1), "EXPORTS"`. */
const NAMED_SECTIONS = [
  /\b(?<title>[A-Z]{2,}(?: [A-Z]+)*) in \*{0,2}(?<name>rdpull[\w.-]*?)\*{0,2}\((?<number>\d)\)/g,
  /\*{0,2}\b(?<name>rdpull[\w.-]*?)\*{0,2}\((?<number>\d)\), "?(?<title>[A-Z]{2,}(?: [A-Z]+)*)\b/g,
];

test('every section of a page that is named somewhere is there', () => {
  const texts = [...sources.map((source) => `src/${source}`), 'README.md', 'SECURITY.md', 'CHANGELOG.md'];
  const named = texts.flatMap((file) => {
    const content = fs.readFileSync(`${ROOT}/${file}`, 'utf8').replaceAll('\n', ' ');
    return NAMED_SECTIONS.flatMap((pattern) => [...content.matchAll(pattern)].map(({ groups }) => groups));
  });
  expect(named.length).toBeGreaterThan(5);
  for (const { title = '', name = '', number = '' } of named.filter((each) => each !== undefined)) {
    const page = sources.find((source) => path.basename(source) === `${name}.${number}.md`);
    const headings = fs.readFileSync(`${ROOT}/src/${page}`, 'utf8').matchAll(/^#+ (.*)$/gm);
    expect([...headings].map(([, heading]) => `${name}(${number}), ${heading}`)).toContain(
      `${name}(${number}), ${title}`,
    );
  }
});

test('every environment variable that is read is in a page', () => {
  const names = new Set(['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy']);
  for (const source of new Bun.Glob('**/*.ts').scanSync(`${ROOT}/src`)) {
    const code = fs.readFileSync(`${ROOT}/src/${source}`, 'utf8');
    for (const [, name = ''] of code.matchAll(/\b(?:process\.env|environment)(?:\.|\[')([A-Z_]+)\b/g)) {
      names.add(name);
    }
    for (const [, taken = ''] of code.matchAll(/\{([^{};]*)\} = [^;]*\b(?:process\.env|environment)\b/g)) {
      for (const [name] of taken.matchAll(/\b[A-Z][A-Z_]{3,}\b/g)) names.add(name);
    }
  }
  for (const name of ['SYSTEMD_IN_INITRD', 'NO_COLOR', 'SSL_CERT_FILE', 'CREDENTIALS_DIRECTORY']) {
    expect([...names]).toContain(name);
  }
  const pages = PAGES.map(text).join('\n');
  for (const name of names) expect(pages).toMatch(new RegExp(`\\b${name}\\b`));
});

describe('the example of rdpull-generator(8)', () => {
  const directory = new TemporaryDirectory();
  afterAll(() => directory[Symbol.dispose]());

  test('writes the units that the page names', () => {
    const source = fs.readFileSync(`${ROOT}/src/generator/rdpull-generator.8.md`, 'utf8');
    const [, example = ''] = /^# EXAMPLE[\s\S]*?\n\n((?: {4}.*\n)+)/m.exec(source) ?? [];
    expect(example).toContain('rdpull generate');
    run(['sh', '-ec', example.replaceAll('/tmp/units', directory.file('units'))], {
      env: { PATH: `${path.dirname(RDPULL)}:${process.env['PATH']}` },
    });
    const written = run(['find', '.', '-type', 'f'], { cwd: directory.file('units') }).toString();
    expect(written.trimEnd().split('\n').sort()).toEqual([
      './imports-pre.target',
      './imports.target',
      './initrd-root-device.target.d/50-root-device.conf',
      './initrd-switch-root.target.d/50-rdpull-network.conf',
      './rdpull@run-machines-root.raw.service',
      './sysroot.mount',
    ]);
  });
});
