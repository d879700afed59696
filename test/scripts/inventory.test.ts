import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import manifest from '../../package.json' with { type: 'json' };
import { NATIVE } from '../../scripts/architecture.ts';
import { linkedLibraries } from '../../scripts/bun-libraries.ts';
import { npmPackage } from '../../scripts/components.ts';
import { licenceOfAllFiles } from '../../scripts/debian-copyright.ts';
import { LANES } from '../../scripts/sha512-lanes.ts';
import { spdxExpression } from '../../scripts/spdx-licence.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const CHECKOUT = path.resolve(import.meta.dir, '../..');

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());

/** As CycloneDX writes it. */
interface Listed {
  readonly name: string;
  readonly version?: string;
  readonly purl?: string;
  readonly licenses: readonly { license?: { id?: string; name?: string }; expression?: string }[];
  readonly components?: readonly Listed[];
}

let bill: { readonly metadata: { readonly component: Listed }; readonly components: readonly Listed[] };
let licences: string;
beforeAll(() => {
  run([process.execPath, 'scripts/inventory.ts', NATIVE], { cwd: CHECKOUT });
  bill = JSON.parse(fs.readFileSync(`${CHECKOUT}/dist/inventory/rdpull.cdx.json`, 'utf8'));
  licences = fs.readFileSync(`${CHECKOUT}/dist/inventory/LICENSES`, 'utf8');
});

/** The component that this one is a part of. */
const wholeOf = (part: string) =>
  bill.components.find(({ components = [] }) => components.some(({ name }) => name === part))?.name;
const all = () => bill.components.flatMap((component) => [component, ...(component.components ?? [])]);

test('the list of what is inside is CycloneDX 1.6, by the schema of its makers', () => {
  // In Node.js, which their library is made for.
  const validate = `
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import fs from 'node:fs';
const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
const text = fs.readFileSync('dist/inventory/rdpull.cdx.json', 'utf8');
console.log(JSON.stringify([await validator.validate(text), await validator.validate(text.replace('"MIT"', '"MYTH"'))]));`;
  const [found, foundInDamaged] = JSON.parse(
    run(['node', '--input-type=module', '--eval', validate], { cwd: CHECKOUT }).toString(),
  );
  expect(found).toBeNull();
  expect(foundInDamaged).not.toBeNull();
});

test('in it are the runtime, the libraries of Debian, and every dependency that is not for development only', () => {
  const names = bill.components.map(({ name }) => name);
  expect(names).toContain('bun');
  const libraries = fs.readdirSync(`${CHECKOUT}/dist/libraries`);
  for (const library of libraries.filter((file) => file.endsWith('.so') && file !== LANES)) {
    const control = fs.readFileSync(
      `${CHECKOUT}/dist/libraries/${library.replace('.so', '.control')}`,
      'utf8',
    );
    expect(names).toContain(/^Package: (.*)$/m.exec(control)?.[1] ?? library);
  }
  for (const name of Object.keys(manifest.dependencies)) expect(names).toContain(name.replace('-real', ''));
  for (const name of Object.keys(manifest.devDependencies))
    if (name !== 'bun') expect(names).not.toContain(name);
  const runtime = bill.components.find(({ name }) => name === 'bun');
  expect(runtime?.components?.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['JavaScriptCore', 'boringssl', 'libicu', 'tinycc']),
  );
});

test('each has a licence, and its text travels with the executable', () => {
  for (const { name, version, licenses } of all()) {
    const [{ license, expression } = {}] = licenses;
    const said = expression ?? license?.id ?? license?.name ?? '';
    expect(said).not.toBe('');
    const title =
      version === undefined ? `${name}, in ${wholeOf(name)}: ${said}` : `${name} ${version}: ${said}`;
    const [, after = ''] = licences.split(`\n${title}\n`);
    expect({
      title,
      text: after.split('='.repeat(100))[1]?.trim() === '' && said !== 'public domain',
    }).toEqual({
      title,
      text: false,
    });
  }
  // What the authors of parts of OpenPGP.js ask to be kept stands in comments only; what libjpeg's ask for, in its licence.
  const words = licences.replaceAll(/\s+/g, ' ');
  for (const notice of [
    'noble-curves - MIT License (c) 2022 Paul Miller',
    'this software is based in part on the work of the Independent JPEG Group',
    'Copyright Fedor Indutny, 2018.',
  ]) {
    expect({ notice, isThere: words.includes(notice) }).toEqual({ notice, isThere: true });
  }
});

/** What a text of a licence says where it grants what it grants, by the words of which licence it is. */
const GRANTS = [
  [/\bMIT\b/, 'Permission is hereby granted, free of charge'],
  [/\bBSD[- ]\d/, 'Redistribution and use in source and binary forms'],
  [/\bLGPL/, '/usr/share/common-licenses/LGPL'],
] as const;

/** What stands in LICENSES of a component, in one line. */
const textOf = (title: RegExp) => {
  const sections = licences.split(/\n={100}\n/);
  const at = sections.findIndex((section) => title.test(section));
  return (sections[at + 1] ?? '').replaceAll(/\s+/g, ' ');
};

test('a text is that of the licence, and not a page that names it', () => {
  for (const { name, version, licenses } of all()) {
    const [{ license, expression } = {}] = licenses;
    const said = expression ?? license?.id ?? license?.name ?? '';
    const title = new RegExp(`^${RegExp.escape(name)}(?: ${RegExp.escape(version ?? '')}:|, in )`);
    const lacking = GRANTS.filter(([words, grant]) => words.test(said) && !textOf(title).includes(grant));
    expect({ name, said, lacking }).toEqual({ name, said, lacking: [] });
  }
  // Only a part of JavaScriptCore is under the LGPL that Bun's page names, and Bun is made of what its page gives credit to.
  for (const notice of [
    'Copyright (C) 2003-2025 Apple Inc',
    'Neither the name of Apple Inc. ("Apple")',
    "THIS SOFTWARE IS PROVIDED BY APPLE COMPUTER, INC. ``AS IS''",
  ])
    expect({ notice, isThere: textOf(/^JavaScriptCore, in bun/).includes(notice) }).toEqual({
      notice,
      isThere: true,
    });
  expect(textOf(/^bun \d/)).toContain('Copyright (c) 2020 Evan Wallace');
});

test('what is named by its place on a Debian is there as well', () => {
  const named = [...licences.matchAll(/common-licenses\/([A-Z]+-[\d.]*\d)/gi)].map(([, name = '']) => name);
  expect(named).toContain('LGPL-3');
  expect(named.filter((name) => !licences.includes(`\n/usr/share/common-licenses/${name}\n`))).toEqual([]);
  const copyright = fs.readFileSync(`${CHECKOUT}/dist/inventory/copyright`, 'utf8');
  // Also where it is a part of a longer text, as in BoringSSL's.
  const contains = (text: string) =>
    ['GNU LESSER GENERAL PUBLIC LICENSE\n\\s+Version 3, ', 'Apache License\n\\s+Version 2\\.0, '].map(
      (title) => new RegExp(title).test(text),
    );
  expect([licences, copyright].map(contains)).toEqual([
    [true, true],
    [false, false],
  ]);
});

describe('a dependency fails the build', () => {
  const made = (name: string, files: Readonly<Record<string, string>>) => {
    fs.mkdirSync(directory.file(name));
    for (const [file, text] of Object.entries(files)) directory.write(path.join(name, file), text);
    return () => npmPackage(directory.file(name), []);
  };

  test('without a licence', () => {
    const package_ = made('none', {
      'package.json': '{"name":"none","version":"1.0.0"}',
      LICENSE: 'Do it.\n',
    });
    expect(package_).toThrow(/none: its package\.json names no licence$/);
  });

  test('without the text of it', () => {
    const package_ = made('textless', {
      'package.json': '{"name":"textless","version":"1.0.0","license":"MIT"}',
    });
    expect(package_).toThrow(/textless: there is no text of its licence \(MIT\)$/);
  });

  test('when it is a part of Bun about which its page says something new', () => {
    expect(() => linkedLibraries('## Linked libraries\n\nThese are linked: zlib, and others.\n')).toThrow(
      "Bun's page about its licence has no table of linked libraries any more",
    );
  });
});

test.each([
  ['MIT', 'MIT'],
  ['GPL-2+', 'GPL-2.0-or-later'],
  ['LGPL v2.1', 'LGPL-2.1-only'],
  ['Apache 2.0 licensed', 'Apache-2.0'],
  ['BSD-3-clause or GPL-2', 'BSD-3-Clause OR GPL-2.0-only'],
  ['BSD-variant', undefined],
])('the identifier of SPDX is found for what others call %s', (called, expression) => {
  expect(spdxExpression(called)).toBe(expression);
});

test('of a Debian package counts what its copyright file says about all files', () => {
  const copyright =
    'Format: x\n\nFiles: debian/*\nLicense: GPL-2+\n\nFiles: *\nCopyright: a,\n  b\nLicense: 0BSD\n long\n';
  expect(licenceOfAllFiles(copyright)).toBe('0BSD');
  expect(() => licenceOfAllFiles('Anybody may do anything.\n')).toThrow('there is no "Files: *"');
});
