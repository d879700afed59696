/**
 * What the executable is made of: by what the bundler reads, and with versions, licences and their texts as they stand in what
 * each came in. What has no licence, or no text of it, fails the build.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { linkedLibraries } from './bun-libraries.ts';
import { licenceOfAllFiles } from './debian-copyright.ts';
import { ENTRY_POINTS } from './entry-points.ts';
import { LANES } from './sha512-lanes.ts';
import { spdxExpression } from './spdx-licence.ts';

/** Something that others have made, and that is in the executable. */
export interface Component {
  readonly name: string;
  /** undefined where only its own maker knows. */
  readonly version: string | undefined;
  /** An expression of SPDX where there is one, else the words of where it came from. */
  readonly licence: string;
  /** The licence itself, and the notices that have to go with it. */
  readonly texts: readonly string[];
  /** https://github.com/package-url/purl-spec */
  readonly packageUrl?: string;
  readonly website?: string;
  /** In hexadecimal digits. */
  readonly digest?: { readonly algorithm: 'SHA-256' | 'SHA-512'; readonly value: string };
  readonly parts: readonly Component[];
}

/** Where the components of an architecture lie. */
export interface ComponentPlaces {
  /** With the libraries themselves, and what scripts/libraries has kept of their packages. */
  readonly libraries: string;
  /** Bun's package on npm for the architecture. */
  readonly runtimePackage: string;
}

/** Debian has the texts of some licences in one place (its package base-files). */
export const COMMON_LICENCES = '/usr/share/common-licenses';

const LICENCE_FILE = /^(?:licen[cs]e|copying|notice)(?:[.-]|$)/i;
/** Comments of JavaScript, in one piece each. */
const COMMENT = /\/\*[\s\S]*?\*\/|(?:^[ \t]*\/\/.*\n)+/gm;
const NOTICE = /copyright|\(c\) ?\d{4}/i;

/**
 * The components: the runtime, the native libraries, and the packages of npm.
 *
 * @throws Error when one has no licence, or no text of it, or when it is not known where a file came from
 */
export async function components(places: ComponentPlaces): Promise<Component[]> {
  const packages = new Map<string, string[]>();
  const libraries: string[] = [];
  for (const file of await bundledFiles()) {
    const [, directory] = /^(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file) ?? [];
    if (directory !== undefined) packages.set(directory, [...(packages.get(directory) ?? []), file]);
    else if (path.basename(file) === LANES) continue;
    else if (/\.so$/.test(file)) libraries.push(path.basename(file));
    else if (!/^(?:src\/|units\/|package\.json$)/.test(file)) throw new Error(`${file}: whose is it?`);
  }
  return [
    runtime(places.runtimePackage),
    ...libraries.sort().map((file) => debianLibrary(path.join(places.libraries, file))),
    ...[...packages].sort().map(([directory, files]) => npmPackage(directory, files)),
  ];
}

/** All that a build without plugins reads: what they put in place of a module is a part of it, or ours. */
async function bundledFiles(): Promise<string[]> {
  const { metafile } = await Bun.build({
    entrypoints: [...ENTRY_POINTS],
    target: 'bun',
    format: 'esm',
    splitting: true,
    metafile: true,
  });
  if (metafile === undefined) throw new Error('Bun does not say what it has read');
  return Object.keys(metafile.inputs);
}

/** A package.json, or what package-lock.json says about a package. */
interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly license?: unknown;
  readonly integrity?: string;
}

function manifest(directory: string): Manifest {
  return JSON.parse(fs.readFileSync(path.join(directory, 'package.json'), 'utf8'));
}

function locked(directory: string): Manifest {
  const { packages }: { readonly packages: Readonly<Record<string, Manifest>> } = JSON.parse(
    fs.readFileSync('package-lock.json', 'utf8'),
  );
  const found = packages[directory];
  if (found === undefined) throw new Error(`${directory} is not in package-lock.json`);
  return found;
}

/**
 * A package of npm, of which these files are in the executable.
 *
 * @throws Error when it has no licence, or no text of it
 */
export function npmPackage(directory: string, files: readonly string[]): Component {
  const { name, version, license } = manifest(directory);
  if (name === undefined || version === undefined) throw new Error(`${directory} has no name or version`);
  if (typeof license !== 'string') throw new Error(`${directory}: its package.json names no licence`);
  const texts = licenceTexts(directory);
  if (texts.length === 0) throw new Error(`${directory}: there is no text of its licence (${license})`);
  return {
    name,
    version,
    licence: spdxExpression(license) ?? license,
    texts: [...texts, ...notices(files)],
    ...npmIdentity(name, version, locked(directory).integrity),
    parts: files.some((file) => file.includes('/llhttp/llhttp-wasm.')) ? [LLHTTP] : [],
  };
}

/** undici brings it as WebAssembly, and neither its version nor its licence. */
const LLHTTP: Component = {
  name: 'llhttp',
  version: undefined,
  licence: 'MIT',
  texts: [fs.readFileSync('licences/npm/llhttp', 'utf8')],
  website: 'https://github.com/nodejs/llhttp',
  parts: [],
};

function licenceTexts(directory: string): string[] {
  return fs
    .readdirSync(directory)
    .filter((name) => LICENCE_FILE.test(name))
    .sort()
    .map((name) => fs.readFileSync(path.join(directory, name), 'utf8'));
}

/** What the authors of the files ask to be kept with them: some packages are made of others, and only their comments say so. */
function notices(files: readonly string[]): string[] {
  const found = files
    .filter((file) => /\.[cm]?js$/.test(file))
    .flatMap((file) => fs.readFileSync(file, 'utf8').match(COMMENT) ?? [])
    .filter((comment) => NOTICE.test(comment))
    .map((comment) => comment.trim().replaceAll(/^[ \t]+/gm, ' '));
  return [...new Set(found)];
}

function npmIdentity(name: string, version: string, integrity: string | undefined) {
  const packageUrl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const [, value] = /^sha512-(\S+)$/.exec(integrity ?? '') ?? [];
  if (value === undefined) return { packageUrl };
  const digest = { algorithm: 'SHA-512', value: Buffer.from(value, 'base64').toString('hex') } as const;
  return { packageUrl, digest };
}

function runtime(packageName: string): Component {
  const { version, license } = manifest('node_modules/bun');
  const types = manifest('node_modules/bun-types');
  if (typeof license !== 'string' || version === undefined)
    throw new Error('Bun names no licence or version');
  // They bring the page, and have to be about the same Bun.
  if (types.version !== version)
    throw new Error(`the types are of Bun ${types.version}, and Bun is ${version}`);
  const page = fs.readFileSync('node_modules/bun-types/docs/project/license.mdx', 'utf8');
  return {
    name: 'bun',
    version,
    licence: spdxExpression(license) ?? license,
    // It says which licence Bun is under, and has no text of it.
    texts: [page, fs.readFileSync('licences/bun/bun', 'utf8')],
    ...npmIdentity(packageName, version, locked(`node_modules/${packageName}`).integrity),
    parts: linkedLibraries(page).map(({ name, website, licence }) => {
      const expression = spdxExpression(licence);
      const texts = linkedLibraryTexts(name, licence, expression);
      return { name, version: undefined, licence: expression ?? licence, texts, website, parts: [] };
    }),
  };
}

/** Bun's package has none of their texts: licences/ does, but for those that name no holder of a copyright. */
function linkedLibraryTexts(name: string, licence: string, expression: string | undefined): string[] {
  const kept = `licences/bun/${name}`;
  if (fs.existsSync(kept)) return [fs.readFileSync(kept, 'utf8')];
  if (licence === 'public domain') return [];
  // LGPL-2.0-only is there as LGPL-2.
  const id = expression?.replace(/-only$/, '') ?? licence;
  const text = [id, id.replace(/\.0$/, '')]
    .map((each) => path.join(COMMON_LICENCES, each))
    .find((each) => fs.existsSync(each));
  if (text === undefined) {
    throw new Error(`${kept}: there is no text of the licence (${licence}) of a library that is part of Bun`);
  }
  return [`See ${text}.`];
}

function debianLibrary(file: string): Component {
  const stem = file.replace(/\.so$/, '');
  const control = fs.readFileSync(`${stem}.control`, 'utf8');
  const copyright = fs.readFileSync(`${stem}.copyright`, 'utf8');
  const field = (wanted: string) => {
    const [, value] = new RegExp(`^${wanted}: (.+)$`, 'm').exec(control) ?? [];
    if (value === undefined) throw new Error(`${stem}.control has no ${wanted}`);
    return value;
  };
  const [name, version, architecture] = [field('Package'), field('Version'), field('Architecture')];
  const licence = licenceOfAllFiles(copyright);
  return {
    name,
    version,
    licence: spdxExpression(licence) ?? licence,
    texts: [copyright],
    packageUrl: `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}`,
    digest: { algorithm: 'SHA-256', value: createHash('sha256').update(fs.readFileSync(file)).digest('hex') },
    parts: [],
  };
}
