/** Compiles src/ into dist/rdpull, or for an architecture: `bun scripts/compile.ts [ARCHITECTURE]`, see scripts/architecture.ts. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { BunPlugin } from 'bun';
import { buildFor } from './architecture.ts';
import { ENTRY_POINTS } from './entry-points.ts';
import { finishExecutable } from './finish-executable.ts';
import { makeLanes } from './sha512-lanes.ts';
import { requireAllLeftOut, undiciRequestsOnly } from './undici-requests-only.ts';

const BUILD = buildFor(process.argv[2]);
const GENERATOR = 'src/commands/generate.ts';

/** What libraries read at their start. Bun has `development` unless told otherwise: OpenPGP.js would print what it passes over. */
const PRODUCTION = { 'process.env.NODE_ENV': '"production"' };

/**
 * Stands in for the generator's module: the same bundled beforehand with all that it imports, so that its start loads
 * one file, and not one for each set of modules that it shares with other commands. That is 5 % of its time. What it imports
 * lazily stays apart: the modules of the runtime that it needs would be loaded at the start.
 */
const generatorInOneFile: BunPlugin = {
  name: 'generator-in-one-file',
  async setup(build) {
    const { outputs } = await Bun.build({
      entrypoints: [GENERATOR],
      target: 'bun',
      minify: true,
      format: 'esm',
      define: PRODUCTION,
      plugins: [lazyImportsApart],
    });
    const contents = await Promise.all(outputs.map((output) => output.text()));
    build.onLoad({ filter: /\/src\/commands\/generate\.ts$/ }, () => ({
      contents: contents.join('\n'),
      loader: 'js',
    }));
  },
};

const lazyImportsApart: BunPlugin = {
  name: 'lazy-imports-apart',
  setup(build) {
    build.onResolve({ filter: /^\./ }, ({ kind, path: wanted, importer }) =>
      kind === 'dynamic-import'
        ? { path: path.resolve(path.dirname(importer), wanted), external: true }
        : undefined,
    );
  },
};

/**
 * Stands in for the packages that check signatures: they become files of their own, which are read when a signature is
 * checked. Their bytecode would take 0.9 MiB of an initrd, and save some 20 ms of CPU time there. Packages of one row
 * share what they import.
 */
const SOURCES = [['openpgp'], ['pkijs', 'asn1js']] as const;
const SOURCES_DIRECTORY = path.resolve(BUILD.directory, 'sources');

const packagesAsSources: BunPlugin = {
  name: 'packages-as-sources',
  async setup(build) {
    fs.mkdirSync(SOURCES_DIRECTORY, { recursive: true });
    for (const names of SOURCES) {
      const source = path.join(SOURCES_DIRECTORY, `${names[0]}.ts`);
      const file = path.join(SOURCES_DIRECTORY, `${names[0]}.js`);
      fs.writeFileSync(source, names.map((name) => `export * as ${name} from '${name}';\n`).join(''));
      const { outputs } = await Bun.build({
        entrypoints: [source],
        target: 'bun',
        minify: true,
        format: 'esm',
        define: PRODUCTION,
      });
      fs.writeFileSync(file, (await outputs[0]?.text()) ?? '');
      for (const name of names) {
        const exported = Object.keys(await import(name)).filter((each) => each !== 'default');
        const filter = new RegExp(`^${name}$`);
        build.onResolve({ filter }, () => ({ path: name, namespace: 'as-source' }));
        build.onLoad({ filter, namespace: 'as-source' }, () => ({
          contents: `import file from ${JSON.stringify(file)} with { type: 'file' };
const { ${name} } = await import(file);
export const { ${exported.join(', ')} } = ${name};`,
          loader: 'js',
        }));
      }
    }
  },
};

/** The sources name the libraries of the machine that builds. */
const librariesOfArchitecture: BunPlugin = {
  name: 'libraries-of-architecture',
  setup(build) {
    build.onResolve({ filter: /\/dist\/libraries\/[^/]+\.so$/ }, ({ path: wanted }) => ({
      path: path.resolve(BUILD.libraries, path.basename(wanted)),
    }));
  },
};

makeLanes(BUILD.architecture, BUILD.libraries);
await Bun.build({
  entrypoints: [...ENTRY_POINTS],
  target: 'bun',
  minify: true,
  bytecode: true,
  // What is imported lazily is not even read at the start.
  splitting: true,
  plugins: [generatorInOneFile, packagesAsSources, undiciRequestsOnly, librariesOfArchitecture],
  format: 'esm',
  // Flat, because the main program finds the workers beside itself.
  naming: { entry: '[name].[ext]' },
  // A clock that says an earlier time is wrong: src/build-time.ts.
  define: {
    ...PRODUCTION,
    RDPULL_BUILD_TIME: String(buildTime()),
    // undici's own way to leave out its second, experimental parser.
    esbuildDetection: 'true',
  },
  compile: {
    outfile: BUILD.executable,
    target: BUILD.target,
    // Else it would be downloaded for another architecture than this machine's.
    executablePath: BUILD.runtime,
    // What lies in the directory rdpull is called from must not change what it does.
    autoloadDotenv: false,
    autoloadBunfig: false,
    autoloadTsconfig: false,
    autoloadPackageJson: false,
  },
});
requireAllLeftOut();
finishExecutable(BUILD.executable);

/**
 * When this is built, in seconds since 1970: $SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/),
 * else the time of the commit, so that one commit makes one executable, else, outside a repository, now.
 */
function buildTime(): number {
  const given = process.env['SOURCE_DATE_EPOCH'] ?? '';
  if (given !== '') {
    if (/^\d{1,11}$/.test(given)) return Number(given);
    throw new Error(`SOURCE_DATE_EPOCH=${given} is no number of seconds`);
  }
  const { status, stdout } = spawnSync('git', ['log', '-1', '--format=%ct'], { encoding: 'utf8' });
  return status === 0 ? Number(stdout) : Math.floor(Date.now() / 1000);
}
