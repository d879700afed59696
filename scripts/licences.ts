/** The licences of rdpull and of all that is in it, as one text. */
import fs from 'node:fs';
import path from 'node:path';
import { version } from '../src/version.ts';
import { COMMON_LICENCES, type Component } from './components.ts';

const RULE = '='.repeat(100);
const COMMON = new RegExp(`${COMMON_LICENCES}/([A-Za-z]+(?:-\\d(?:\\.\\d)?)?)`, 'g');

/** As the copyright file of a Debian package: texts that every Debian has are named, and not repeated. */
export function debianCopyright(parts: readonly Component[]): string {
  return [preface(), ...parts.flatMap((part) => section(part))].join('\n');
}

/** With all texts, for any system. */
export function completeLicences(parts: readonly Component[]): string {
  const text = debianCopyright(parts);
  const names = [...new Set([...text.matchAll(COMMON)].map(([, name = '']) => name))].sort();
  const appendix = names.map((name) => entry(`${COMMON_LICENCES}/${name}`, [commonLicence(name)]));
  return [text, ...appendix].join('\n');
}

function preface(): string {
  return `rdpull ${version}: its licence, and those of what its executable holds

${fs.readFileSync('LICENSE', 'utf8').trimEnd()}

What follows was made by others, and is part of the executable as it was published, minified, or cut down to what is used.
Where a licence lets you use another version of a library (the LGPL does): the sources of rdpull ${version} have all that is
needed to build it with that. package.json names the packages of npm, scripts/libraries the libraries of Debian. JavaScriptCore and
tinycc are linked into Bun: its page, below, says how Bun is built with another one; put into the place of
node_modules/bun/bin/bun.exe, it is what scripts/compile.ts makes rdpull of.
`;
}

/** A component and its parts, each under its own title. */
function section(part: Component, whole?: Component): string[] {
  const name = part.version === undefined ? part.name : `${part.name} ${part.version}`;
  const title = whole === undefined ? name : `${name}, in ${whole.name}`;
  return [
    entry(`${title}: ${part.licence}`, part.texts.map(named)),
    ...part.parts.flatMap((each) => section(each, part)),
  ];
}

function entry(title: string, texts: readonly string[]): string {
  const shown = texts.map((text) => `\n${text.trimEnd()}\n`);
  return `${RULE}\n${title}\n${RULE}\n${shown.join('')}`;
}

/** With the name of each text that Debian has in place of the text. */
function named(text: string): string {
  return COMMON_TEXTS.reduce(
    (rest, { name, pattern }) => rest.replace(pattern, `See ${COMMON_LICENCES}/${name}.`),
    text,
  );
}

const COMMON_TEXTS = fs
  .readdirSync(COMMON_LICENCES)
  .filter((name) => /-\d/.test(name))
  .map((name) => ({ name, pattern: anyEdition(commonLicence(name)) }));

/** Editions of the same text differ in margins, and in whether an address is https. */
function anyEdition(text: string): RegExp {
  const escaped = (part: string) => RegExp.escape(part);
  const words = text
    .trim()
    .split(/\s+/)
    .map((word) =>
      word
        .split(/https?:/)
        .map(escaped)
        .join('https?:'),
    );
  return new RegExp(`[ \\t]*${words.join('\\s+')}`);
}

function commonLicence(name: string): string {
  return fs.readFileSync(path.join(COMMON_LICENCES, name), 'utf8');
}
