/** undici without what a plain request over a connection of ours never runs. */
import type { BunPlugin } from 'bun';
import llhttp from 'undici-real/lib/llhttp/constants.js';
import { llhttpAsJavaScript } from './llhttp-as-javascript.ts';

const SILENT_CHANNELS = 'exports.channels = new Proxy({}, { get: () => ({ hasSubscribers: false }) });';
const NO_DIALLING = `module.exports = () => { throw new Error('undici dials nowhere here: source/connection.ts does'); };`;

/**
 * Modules of undici by the name that it asks for, and what stands in their place. Each is there because of what it costs a
 * pull of 1 KiB, in millions of instructions; all of undici is 8 now, and was 22.
 */
const MODULES: Readonly<Record<string, string>> = {
  // HTTP/2 is not asked for.
  './client-h2.js': 'module.exports = {};',
  // Without its diagnostics no variable makes it write to the console, either.
  '../core/diagnostics.js': SILENT_CHANNELS,
  './diagnostics.js': SILENT_CHANNELS,
  '../core/connect': NO_DIALLING,
  '../core/connect.js': NO_DIALLING,
  // 5: a tree of the names of usual headers, built to spare a string for each that comes; it makes one where there is no tree.
  './tree': 'exports.tree = { lookup: () => null };',
  // 3: methods, states and characters, computed out of each other.
  '../llhttp/constants.js': `module.exports = ${JSON.stringify({ ERROR: llhttp.ERROR, TYPE: llhttp.TYPE })};`,
};

/**
 * Modules of the runtime that undici loads, and what stands in their place. 8 together, 6 of them node:http. No plugin is asked
 * about modules of the runtime: the calls are replaced in the text.
 */
const OF_RUNTIME: Readonly<Record<string, string>> = {
  // The class is compared with, as is what this runtime calls its requests.
  'node:http': '{ maxHeaderSize: 16384, IncomingMessage: class {} }',
  // For bodies of requests, and for a query that is given as an object.
  'node:stream': '{ isDisturbed: () => false }',
  'node:querystring': '{}',
  // Its own assertions hold or are defects: they need no colours.
  'node:assert':
    '(holds, why) => { if (!holds) throw new Error(why ?? "an assertion of undici does not hold"); }',
  // Who waits in a pool's queue. Nobody asks in whose context it runs on.
  'node:async_hooks':
    '{ AsyncResource: class { runInAsyncScope(run, self, ...args) { return run.apply(self, args); } } }',
};

/**
 * The parser, in client-h1.js, from where it is read to where it is made with what it calls. As WebAssembly it was 23: 7 to read it,
 * and 16 to compile it, which the runtime begins after some hundred bytes of a head. As JavaScript it is 8, and has no
 * memory of 8 MiB.
 */
const WEB_ASSEMBLY =
  / {2}const llhttpWasmData = [\s\S]*? {2}return new WebAssembly\.Instance\(mod, (?=\{\n {4}env: )/;
const PARSER = 'llhttp as JavaScript';

const replaced = new Set<string>();

export const undiciRequestsOnly: BunPlugin = {
  name: 'undici-requests-only',
  setup(build) {
    build.onResolve({ filter: /^\./ }, ({ path: wanted, importer }) => {
      if (!importer.includes('/undici-real/lib/') || !(wanted in MODULES)) return undefined;
      replaced.add(wanted);
      return { path: wanted, namespace: 'left-out' };
    });
    build.onResolve({ filter: new RegExp(`^${PARSER}$`) }, () => ({ path: PARSER, namespace: 'parser' }));
    build.onLoad({ filter: /.*/, namespace: 'parser' }, async () => ({
      contents: await llhttpAsJavaScript(),
      loader: 'js',
    }));
    build.onLoad({ filter: /.*/, namespace: 'left-out' }, ({ path: wanted }) => ({
      contents: MODULES[wanted] ?? '',
      loader: 'js',
    }));
    build.onLoad(
      { filter: /\/undici-real\/lib\/(?:core|dispatcher)\/[^/]+\.js$/ },
      async ({ path: file }) => ({
        contents: withoutRuntimeModules(withoutWebAssembly(await Bun.file(file).text())),
        loader: 'js',
      }),
    );
  },
};

function withoutRuntimeModules(source: string): string {
  return source.replaceAll(/require\('(node:\w+)'\)/g, (call, name: string) => {
    const instead = OF_RUNTIME[name];
    if (instead === undefined) return call;
    replaced.add(name);
    return `(${instead})`;
  });
}

function withoutWebAssembly(source: string): string {
  return source.replace(WEB_ASSEMBLY, () => {
    replaced.add(PARSER);
    return `  return require('${PARSER}')(`;
  });
}

/** @throws Error when something was not there to be left out: another undici, which has to be measured anew */
export function requireAllLeftOut(): void {
  const missed = [...Object.keys(MODULES), ...Object.keys(OF_RUNTIME), PARSER].filter(
    (name) => !replaced.has(name),
  );
  if (missed.length > 0) throw new Error(`undici does not load ${missed.join(', ')} any more`);
}
