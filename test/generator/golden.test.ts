import { afterAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { RDPULL } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { systemdTree } from '../fixtures/systemd-tree.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { directoriesIn, generateInto, showTree, treeNames } from './generator-run.ts';
import { GOLDEN_CASES, type GoldenCase } from './golden-cases.ts';

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());

/** Generates a case; `executable` is in place of the one that the golden files name. */
function generateCase({ name, commandLine, credential, inInitrd, exists }: GoldenCase, executable?: string) {
  const root = fs.mkdtempSync(directory.file(`${name}-`));
  const warnings = generateInto(root, commandLine, {
    credential:
      credential === undefined
        ? undefined
        : { path: '/run/credentials/@system/import.pull', expressions: credential },
    inInitrd,
    exists: (file) => exists?.some((each) => each === file || each.startsWith(`${file}/`)) === true,
    ...(executable !== undefined && { executable }),
  });
  return { root, warnings };
}

describe('the units of a command line are, to the letter, those in golden/:', () => {
  test.each(GOLDEN_CASES)('$name', (each) => {
    const { root, warnings } = generateCase(each);
    const told = [
      `${each.inInitrd ? 'initrd' : 'host'}: ${each.commandLine}`,
      ...(each.credential ?? []).map((line) => `import.pull: ${line}`),
      ...(each.exists ?? []).map((file) => `exists: ${file}`),
      ...warnings.map((warning) => `warning: ${warning}`),
    ];
    const golden = path.join(import.meta.dir, 'golden', `${each.name}.txt`);
    const text = `${told.join('\n')}\n${showTree(root)}`;
    // For a change that is meant: RDPULL_WRITE_GOLDEN=1 bun test test/generator/golden.test.ts, then git diff.
    if (process.env['RDPULL_WRITE_GOLDEN'] === '1') fs.writeFileSync(golden, text);
    expect(text).toBe(fs.readFileSync(golden, 'utf8'));
  });

  test('and golden/ holds no others', () => {
    const files = fs.readdirSync(path.join(import.meta.dir, 'golden')).sort();
    expect(files).toEqual(GOLDEN_CASES.map(({ name }) => `${name}.txt`).sort());
  });
});

/** A systemd-analyze, and the units of the same systemd. */
interface Analyzer {
  readonly command: readonly string[];
  readonly fstabGenerator: readonly string[];
  readonly units: string;
}

function analyzer(systemd: '252' | '257' | '262'): Analyzer {
  const fstabGenerator = 'usr/lib/systemd/system-generators/systemd-fstab-generator';
  if (systemd === '252') {
    return {
      command: ['systemd-analyze'],
      fstabGenerator: [`/${fstabGenerator}`],
      units: '/usr/lib/systemd/system',
    };
  }
  const tree = systemdTree(systemd === '257' ? 'trixie' : 'forky');
  return {
    command: tree.command('usr/bin/systemd-analyze'),
    fstabGenerator: tree.command(fstabGenerator),
    units: path.join(tree.path, 'usr/lib/systemd/system'),
  };
}

/**
 * What systemd-analyze says of the units below `root`, starting them and all that an initrd starts: a cycle would be
 * found, too. Without what it says of programs that the unpacked systemd does not hold.
 */
function verifyUnits({ command, units }: Analyzer, root: string): string[] {
  const { early, normal, late } = directoriesIn(root);
  const names = new Set(
    treeNames(root).map((name) => (name.split('/')[1] ?? '').replace(/\.(?:d|wants|requires)$/, '')),
  );
  const result = Bun.spawnSync(
    [...command, 'verify', '--man=no', 'initrd.target', 'sysinit.target', ...names],
    {
      env: {
        PATH: process.env['PATH'] ?? '',
        SYSTEMD_UNIT_PATH: [early, normal, network(), units, late].join(':'),
      },
    },
  );
  return result.stderr
    .toString()
    .split('\n')
    .filter((line) => line !== '' && !/ is not executable: No such file or directory$/.test(line));
}

/** The network of an initrd: systemd-networkd, which network-online.target waits for. */
function network(): string {
  const wants = directory.file('network', 'network-online.target.wants');
  const wait = path.join(wants, 'systemd-networkd-wait-online.service');
  fs.mkdirSync(wants, { recursive: true });
  fs.rmSync(wait, { force: true });
  fs.symlinkSync('/usr/lib/systemd/system/systemd-networkd-wait-online.service', wait);
  return directory.file('network');
}

/** What an older systemd does without: the name of the process, with its `@`, says the same (systemd 255 made the setting). */
const IGNORED: Readonly<Record<string, RegExp>> = {
  252: /Unknown key 'SurviveFinalKillSignal' in section \[Unit\], ignoring\.$/,
};

describe.each(['252', '257', '262'] as const)('systemd-analyze of systemd %s', (systemd) => {
  test.each(GOLDEN_CASES)('has nothing to say of $name', (each) => {
    const { root } = generateCase(each, RDPULL);
    const { early, normal, late } = directoriesIn(root);
    // What systemd itself makes of root=, so that the two are seen together.
    fs.mkdirSync(normal, { recursive: true });
    run([...analyzer(systemd).fstabGenerator, normal, early, late], {
      env: { SYSTEMD_PROC_CMDLINE: each.commandLine, SYSTEMD_IN_INITRD: each.inInitrd ? '1' : '0' },
    });
    // A dangling link where systemd-gpt-auto-generator would make the mount, on a machine booted by EFI.
    if (![early, normal].some((place) => fs.existsSync(path.join(place, 'sysroot.mount')))) {
      fs.rmSync(path.join(normal, 'initrd-usr-fs.target.requires'), { recursive: true, force: true });
    }
    const said = verifyUnits(analyzer(systemd), root).filter((line) => !IGNORED[systemd]?.test(line));
    expect(said).toEqual([]);
  });

  test('would notice a mistake in a unit, in a drop-in, and a cycle', () => {
    const loopRef = GOLDEN_CASES.find(({ name }) => name === 'loop-ref-root');
    const { root } = generateCase(loopRef as GoldenCase, RDPULL);
    const { normal } = directoriesIn(root);
    const unit = path.join(normal, 'rdpull@run-machines-root.raw.service');
    const text = fs.readFileSync(unit, 'utf8');
    fs.writeFileSync(unit, text.replace('Type=oneshot', 'Type=onshot'));
    expect(verifyUnits(analyzer(systemd), root).join()).toContain('onshot');
    fs.writeFileSync(unit, text.replace('After=', 'After=sysinit.target '));
    expect(verifyUnits(analyzer(systemd), root).join()).toContain('ordering cycle');
    fs.writeFileSync(unit, text);
    const [device = ''] = treeNames(normal).filter((name) => name.includes('.device.d/'));
    fs.appendFileSync(path.join(normal, device), 'Afterr=x.service\n');
    expect(verifyUnits(analyzer(systemd), root).join()).toContain('Afterr');
  });
});
