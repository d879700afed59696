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
  if (!text.startsWith(IMPORT) || instance < 0 || !DECODER.test(text))
    throw new Error('binaryen writes JavaScript in another way');
  const made = text.slice(IMPORT.length, instance).replace(DECODER, DECODER_OF_RUNTIME);
  return `${made}\nmodule.exports = (imports) => ({ exports: asmFunc(imports) });\n`;
}
