/** undici's parser of answers as JavaScript: made of the same WebAssembly, which would be compiled anew at each start. */
import fs from 'node:fs';
import path from 'node:path';
import binaryenPackage from 'binaryen/package.json';
import wasm from 'undici-real/lib/llhttp/llhttp-wasm.js';

/** Translating takes ten seconds, and its result depends on the WebAssembly, on who translates it, and on this file. */
const CACHE = 'dist/sources';

const IMPORT = "import * as env from 'env';\n";
const INSTANCE = '\nvar retasmFunc = asmFunc({';
/** Its own decoder of what lies in the memory from the start, character by character, and what the runtime has for that: 3 million instructions. */
const DECODER = / {2}var base64ReverseLookup = [\s\S]*?\n {2}\}\n(?=function initActiveSegments)/;
const DECODER_OF_RUNTIME = `function base64DecodeToExistingUint8Array(memory, offset, base64) {
  memory.subarray(offset).setFromBase64(base64);
}
`;
/** llhttp_execute(), a state machine in one function: where it begins. */
const EXECUTE =
  / function \$\d+\(\$0_1, \$1_1, \$2_1\) \{\n(?: {2}(?:\$\d_1 = \$\d_1 \| 0|var [^;]+);\n){4}(?= {2}\$4_1 = \$1_1 \+ \$2_1 \| 0;)/;
/**
 * Statements that never run, which make it larger than what the runtime's second compiler takes (JavaScriptCore's
 * maximumOptimizationCandidateBytecodeCost). After some sixty answers that would take 30 MiB of memory and a tenth of a second, which is
 * seconds on an emulated processor, for a head that is read in microseconds: the first compiler's code does. 2000 are too few, 4000 enough.
 */
const BALLAST = `  if (($0_1 | 0) == -1) {\n${'   $4_1 = $4_1 ^ $5_1;\n'.repeat(6000)}  }\n`;

/**
 * A CommonJS module that makes an instance out of its imports, as `new WebAssembly.Instance()` does of the module.
 *
 * @throws Error when binaryen writes it in another way than it did
 */
export async function llhttpAsJavaScript(): Promise<string> {
  const bytes = new Uint8Array(wasm);
  const key = new Bun.CryptoHasher('sha256')
    .update(bytes)
    .update(binaryenPackage.version)
    .update(fs.readFileSync(import.meta.path))
    .digest('hex');
  const file = path.join(CACHE, `llhttp-${key.slice(0, 16)}.js`);
  if (!fs.existsSync(file)) {
    fs.mkdirSync(CACHE, { recursive: true });
    fs.writeFileSync(`${file}.unfinished`, await translated(bytes));
    fs.renameSync(`${file}.unfinished`, file);
  }
  return fs.readFileSync(file, 'utf8');
}

async function translated(bytes: Uint8Array): Promise<string> {
  const { default: binaryen } = await import('binaryen');
  binaryen.setOptimizeLevel(3);
  binaryen.setShrinkLevel(0);
  const module = binaryen.readBinary(bytes);
  module.optimize();
  const text = module.emitAsmjs();
  const instance = text.indexOf(INSTANCE);
  if (!text.startsWith(IMPORT) || instance < 0 || !DECODER.test(text) || !EXECUTE.test(text))
    throw new Error('binaryen writes JavaScript in another way');
  const made = text
    .slice(IMPORT.length, instance)
    .replace(DECODER, DECODER_OF_RUNTIME)
    .replace(EXECUTE, (begin) => begin + BALLAST);
  return `${made}\nmodule.exports = (imports) => ({ exports: asmFunc(imports) });\n`;
}
