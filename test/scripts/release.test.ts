import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { ARCHITECTURES, NATIVE } from '../../scripts/architecture.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

// It compiles for two architectures.
setDefaultTimeout(300_000);

const CHECKOUT = path.resolve(import.meta.dir, '../..');
const VERSION = '9.8.7';
/** When it is committed, in seconds since 1970. */
const TIME = 1_795_900_000;

const work = new TemporaryDirectory();
const clone = work.file('clone');
const release = path.join(clone, 'dist/release');
const inRelease = (name: string) => path.join(release, name);
afterAll(() => work[Symbol.dispose]());

const env = {
  PATH: process.env['PATH'],
  GIT_AUTHOR_NAME: 'A. Maintainer',
  GIT_AUTHOR_EMAIL: 'maintainer@rdpull.example',
  GIT_COMMITTER_NAME: 'A. Maintainer',
  GIT_COMMITTER_EMAIL: 'maintainer@rdpull.example',
  GIT_COMMITTER_DATE: `@${TIME} +0000`,
  // Packing well is what takes the time of a real release, and it is not ours.
  ZSTD_CLEVEL: '1',
  DPKG_DEB_COMPRESSOR_TYPE: 'none',
};
const inClone = (...command: string[]) => run(command, { cwd: clone, env });
/** What scripts/release says when it refuses. */
const refusal = () => {
  const { exitCode, stderr } = Bun.spawnSync(['scripts/release', '--without-lintian'], { cwd: clone, env });
  return `${exitCode} ${stderr.toString()}`;
};

beforeAll(() => {
  // With what is not committed yet: that is what is tested.
  run(['git', 'init', '--quiet', clone]);
  const files = run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: CHECKOUT,
  });
  run(['tar', '-C', CHECKOUT, '--null', '--files-from=-', '-cf', work.file('tree.tar')], { input: files });
  run(['tar', '-xf', work.file('tree.tar'), '-C', clone]);
  run(['cp', '--archive', '--link', `${CHECKOUT}/node_modules`, clone]);
  // What npm and Debian have given once need not be fetched again.
  const others = ARCHITECTURES.flatMap((each) => [`${each}/libraries`, `${each}/runtime`]);
  for (const part of ['libraries', ...others]) {
    if (!fs.existsSync(`${CHECKOUT}/dist/${part}`)) continue;
    fs.mkdirSync(path.dirname(`${clone}/dist/${part}`), { recursive: true });
    run(['cp', '--archive', '--link', `${CHECKOUT}/dist/${part}`, `${clone}/dist/${part}`]);
  }
  inClone('git', 'add', '--all');
  inClone('git', 'commit', '--quiet', '--message=Everything');
});

describe('a release is refused', () => {
  test('of what is not committed', () => {
    fs.appendFileSync(path.join(clone, 'README.md'), 'More.\n');
    expect(refusal()).toStartWith('1 scripts/release: commit this first, or put it away');
    inClone('git', 'checkout', '--quiet', 'README.md');
  });

  test('of a version that CHANGELOG.md does not begin with, or not with its date', () => {
    setVersion(VERSION);
    inClone('git', 'commit', '--quiet', '--all', '--message=Version');
    expect(refusal()).toMatch(
      /^1 scripts\/release: package\.json says 9\.8\.7, but CHANGELOG\.md begins with ".+"; it has to be "9\.8\.7, YEAR-MONTH-DAY"\n$/,
    );
    writeChangelog(`${VERSION}, not released yet`);
    inClone('git', 'commit', '--quiet', '--all', '--message=Changes');
    expect(refusal()).toContain('begins with "9.8.7, not released yet"');
  });
});

test('a release has everything, for both architectures', () => {
  writeChangelog(`${VERSION}, 2026-11-29`);
  inClone('git', 'commit', '--quiet', '--all', '--message=Release');
  inClone('scripts/release', '--without-lintian');

  const names = ARCHITECTURES.flatMap((architecture) => [
    `rdpull_${VERSION}_${architecture}.deb`,
    `rdpull-${VERSION}-linux-${architecture}.cdx.json`,
    `rdpull-${VERSION}-linux-${architecture}.tar.zst`,
  ]);
  const all = [...names, `rdpull-${VERSION}.tar.xz`, 'SHA256SUMS'];
  expect(fs.readdirSync(release).sort()).toEqual(all.sort());
  run(['sha256sum', '--strict', '--check', 'SHA256SUMS'], { cwd: release });
  expect(fs.readdirSync(path.dirname(release)).filter((name) => name.startsWith('.release'))).toEqual([]);
});

describe.each([...ARCHITECTURES])('for %s', (architecture) => {
  const machine = architecture === 'arm64' ? 'ARM aarch64' : 'x86-64';

  test('the package is of this architecture, and the time of the commit', () => {
    const file = inRelease(`rdpull_${VERSION}_${architecture}.deb`);
    expect(run(['dpkg-deb', '--field', file, 'Architecture', 'Version', 'Maintainer']).toString()).toBe(
      `Architecture: ${architecture}\nVersion: ${VERSION}\nMaintainer: A. Maintainer <maintainer@rdpull.example>\n`,
    );
    run(['dpkg-deb', '--extract', file, work.file(architecture)]);
    expect(run(['file', '--brief', work.file(architecture, 'usr/bin/rdpull')]).toString()).toContain(machine);
    expect(fs.statSync(work.file(architecture, 'usr/bin/rdpull')).mtime).toEqual(new Date(TIME * 1000));
  });

  test('the tarball has all that is needed, the licences among it, and touches no directory that is there', () => {
    const tarball = inRelease(`rdpull-${VERSION}-linux-${architecture}.tar.zst`);
    const names = run(['tar', '-tf', tarball]).toString().trimEnd().split('\n');
    for (const name of [
      'etc/systemd/system-generators/systemd-import-generator',
      'usr/lib/dracut/modules.d/90rdpull/module-setup.sh',
      'usr/lib/systemd/system/rdpull-free-initramfs.service',
      'usr/lib/systemd/system/rdpull-report-root.service',
      'usr/local/bin/rdpull',
      'usr/local/share/doc/rdpull/LICENSES',
      'usr/local/share/man/man1/rdpull.1',
    ]) {
      expect(names).toContain(name);
    }
    expect(names.filter((name) => name.endsWith('/'))).toEqual([]);
    expect(names).toEqual([...names].sort());
  });

  test('the list of what is inside says which libraries they are', () => {
    const list = fs.readFileSync(inRelease(`rdpull-${VERSION}-linux-${architecture}.cdx.json`), 'utf8');
    expect(JSON.parse(list)).toMatchObject({
      metadata: { timestamp: new Date(TIME * 1000).toISOString(), component: { version: VERSION } },
    });
    expect(list).toMatch(new RegExp(`"pkg:deb/debian/liblzma5@[^"]+\\?arch=${architecture}"`));
    expect(list).toContain(`"pkg:npm/%40oven/bun-linux-${architecture === 'arm64' ? 'aarch64' : 'x64'}@`);
  });
});

test('the sources are those of the commit', () => {
  run(['tar', '-xf', inRelease(`rdpull-${VERSION}.tar.xz`), '-C', work.path]);
  const names = run(['find', '.', '-type', 'f'], { cwd: work.file(`rdpull-${VERSION}`) }).toString();
  const committed = inClone('git', 'ls-tree', '-r', '--name-only', 'HEAD').toString();
  const sorted = (text: string) => text.trimEnd().split('\n').sort();
  expect(sorted(names.replaceAll(/^\.\//gm, ''))).toEqual(sorted(committed));
});

test('made again, the package is the same, byte for byte', () => {
  const name = `rdpull_${VERSION}_${NATIVE}.deb`;
  inClone('scripts/package', work.path);
  expect(fs.readFileSync(work.file(name)).equals(fs.readFileSync(inRelease(name)))).toBe(true);
});

function setVersion(version: string): void {
  for (const name of ['package.json', 'package-lock.json']) {
    const file = path.join(clone, name);
    const from = JSON.parse(fs.readFileSync(file, 'utf8')).version;
    fs.writeFileSync(
      file,
      fs.readFileSync(file, 'utf8').replaceAll(`"version": "${from}"`, `"version": "${version}"`),
    );
  }
  // The packages are those that are installed. The file is another checkout's as well.
  fs.rmSync(path.join(clone, 'node_modules/.installed-lock'), { force: true });
  fs.copyFileSync(path.join(clone, 'package-lock.json'), path.join(clone, 'node_modules/.installed-lock'));
}

function writeChangelog(heading: string): void {
  const file = path.join(clone, 'CHANGELOG.md');
  const text = fs.readFileSync(file, 'utf8');
  fs.writeFileSync(file, text.replace(/^## .*$/m, `## ${heading}`));
}
