import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { version } from '../../src/version.ts';
import { run } from '../fixtures/run.ts';
import { inSuiteTree } from '../fixtures/suite-tree.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

// Whoever comes first waits until the tree of a suite is made.
setDefaultTimeout(600_000);

const CHECKOUT = path.resolve(import.meta.dir, '../..');

const shared = new TemporaryDirectory();
let name = '';
beforeAll(() => {
  // Not compressed: that is what takes the time, and it is dpkg's.
  const env = { PATH: process.env['PATH'], DPKG_DEB_COMPRESSOR_TYPE: 'none' };
  run([path.join(CHECKOUT, 'scripts/package'), shared.path], { env });
  name = shared.names().find((file) => file.endsWith('.deb')) ?? '';
});
afterAll(() => shared[Symbol.dispose]());

test('the package is named after its version and the architecture, and says what it needs', () => {
  const architecture = run(['dpkg', '--print-architecture']).toString().trim();
  expect(name).toBe(`rdpull_${version}_${architecture}.deb`);
  expect(run(['dpkg-deb', '--field', shared.file(name), 'Depends']).toString()).toBe('libc6 (>= 2.34)\n');
  const files = run(['dpkg-deb', '--contents', shared.file(name)]).toString();
  for (const file of [
    'bash-completion/completions/rdpull',
    'doc/rdpull/changelog.gz',
    'doc/rdpull/copyright',
    'doc/rdpull/rdpull.cdx.json',
    'fish/vendor_completions.d/rdpull.fish',
    'lintian/overrides/rdpull',
    'man/man1/rdpull.1.gz',
    'man/man7/rdpull.pull.7.gz',
    'man/man8/rdpull-generator.8.gz',
    'zsh/vendor-completions/_rdpull',
  ]) {
    expect(files).toContain(` ./usr/share/${file}\n`);
  }
  expect(files).not.toMatch(/ \.\/etc| (?!root\/root)\S+\/\S+ +\d+ \d{4}-/);
});

test.each(['bookworm', 'forky'] as const)(
  'it installs into %s, runs there, and goes without a trace',
  (suite) => {
    const script = `
list() { find /etc /usr -xdev ! -path '/etc/ld.so.cache' | sort; }
list >/shared/before-${suite}
dpkg --install /shared/${name} >/dev/null
rdpull --version
readlink -e /etc/systemd/system-generators/systemd-import-generator
list >/shared/with-${suite}
dpkg --remove rdpull >/dev/null
list >/shared/after-${suite}
dpkg --install /shared/${name} >/dev/null
dpkg --purge rdpull >/dev/null
dpkg-query --list rdpull 2>&1 | tail -n 1`;
    expect(inSuiteTree(suite, shared.path, script).trimEnd().split('\n')).toEqual([
      `rdpull ${version}`,
      '/usr/bin/rdpull',
      'dpkg-query: no packages found matching rdpull',
    ]);
    const [before, installed, after] = ['before', 'with', 'after'].map((when) =>
      fs.readFileSync(shared.file(`${when}-${suite}`), 'utf8'),
    );
    expect(installed).toContain('\n/usr/lib/dracut/modules.d/90rdpull/module-setup.sh\n');
    expect(after).toBe(before ?? '');
  },
);

test('a generator that an administrator has masked stays masked', () => {
  const script = `
link=/etc/systemd/system-generators/systemd-import-generator
mkdir -p \${link%/*}
ln -s /dev/null $link
dpkg --install /shared/${name} >/dev/null
dpkg --remove rdpull >/dev/null
readlink $link`;
  expect(inSuiteTree('bookworm', shared.path, script)).toBe('/dev/null\n');
});
