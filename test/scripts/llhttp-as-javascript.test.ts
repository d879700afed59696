import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import wasm from 'undici-real/lib/llhttp/llhttp-wasm.js';
import { llhttpAsJavaScript } from '../../scripts/llhttp-as-javascript.ts';

/** What both make of it: numbers are pointers, lengths and codes. */
type Callback = (...numbers: number[]) => number;

interface Parser {
  readonly memory: { readonly buffer: ArrayBuffer };
  malloc(length: number): number;
  llhttp_alloc(type: number): number;
  llhttp_execute(parser: number, data: number, length: number): number;
  llhttp_finish(parser: number): number;
  llhttp_reset(parser: number): void;
  llhttp_resume(parser: number): void;
  llhttp_get_error_pos(parser: number): number;
  llhttp_set_lenient_optional_cr_before_lf(parser: number, enabled: number): void;
}

const RESPONSE = 2;
const ROOM = 64 * 1024;
const HPE_PAUSED = 21;

const CALLBACKS = [
  'wasm_on_url',
  'wasm_on_status',
  'wasm_on_message_begin',
  'wasm_on_header_field',
  'wasm_on_header_value',
  'wasm_on_headers_complete',
  'wasm_on_body',
  'wasm_on_message_complete',
] as const;

/** Makes an instance that tells each call of a callback, its place in the memory counted from the data. */
async function instanceOf(
  make: (imports: { env: Record<string, Callback> }) => Promise<Parser>,
  paused: boolean,
): Promise<(chunks: readonly Uint8Array[]) => readonly unknown[]> {
  let told: unknown[] = [];
  let data = 0;
  const env = Object.fromEntries(
    CALLBACKS.map((name) => [
      name,
      (_: number, ...numbers: number[]) => {
        const [at = 0, ...rest] = numbers;
        told.push([name, ...(numbers.length === 2 ? [at - data, ...rest] : numbers)]);
        return paused && name === 'wasm_on_body' ? HPE_PAUSED : 0;
      },
    ]),
  );
  const parser = await make({ env });
  data = parser.malloc(ROOM);
  return (chunks) => {
    told = [];
    const state = parser.llhttp_alloc(RESPONSE);
    parser.llhttp_set_lenient_optional_cr_before_lf(state, 1);
    for (const chunk of chunks) {
      new Uint8Array(parser.memory.buffer, data, ROOM).set(chunk);
      const code = parser.llhttp_execute(state, data, chunk.length);
      told.push(['executed', code, code === 0 ? 0 : parser.llhttp_get_error_pos(state) - data]);
      if (code === HPE_PAUSED) parser.llhttp_resume(state);
      else if (code !== 0) parser.llhttp_reset(state);
    }
    told.push(['finished', parser.llhttp_finish(state)]);
    return told;
  };
}

async function asWebAssembly(imports: { env: Record<string, Callback> }): Promise<Parser> {
  const { instance } = await WebAssembly.instantiate(new Uint8Array(wasm), imports);
  return Object.assign({}, instance.exports) as unknown as Parser;
}

async function asJavaScript(imports: { env: Record<string, Callback> }): Promise<Parser> {
  const module = { exports: (_: typeof imports): { exports: Parser } => Promise.reject() as never };
  new Function('module', await llhttpAsJavaScript())(module);
  return module.exports(imports).exports;
}

const LINES = [
  'HTTP/1.1 200 OK',
  'HTTP/1.0 404 ',
  'HTTP/1.1 100 Continue',
  'Content-Length: 5',
  'Content-Length: 18446744073709551616',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Connection: close',
  'Connection: keep-alive',
  ' folded',
  'X',
  'X: \u00ff',
  '',
  '5',
  '5;a="b"',
  'hello',
  '0',
  'ffffffffffffffff1',
];

const answer = fc
  .array(fc.tuple(fc.constantFrom(...LINES), fc.constantFrom('\r\n', '\n', '\r', '')), { maxLength: 16 })
  .map((lines) => Buffer.from(lines.map((line) => line.join('')).join(''), 'latin1'));
/** Those that come to their end, of which there are few by chance. */
const WHOLE = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
].map((text): [Buffer, number[]] => [Buffer.from(text), []]);
const cut = fc.array(fc.nat(200), { maxLength: 4 });

describe('llhttp as JavaScript', () => {
  test.each([
    ['as it comes', false],
    ['with a pause behind each part of a body', true],
  ])('makes of every answer what it makes as WebAssembly, %s', async (_, paused) => {
    const compiled = await instanceOf(asWebAssembly, paused);
    const translated = await instanceOf(asJavaScript, paused);
    const seen = new Set<string>();
    fc.assert(
      fc.property(answer, cut, (bytes, places) => {
        const cuts = [
          0,
          ...places.filter((place) => place < bytes.length).sort((a, b) => a - b),
          bytes.length,
        ];
        const chunks = cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end));
        const told = translated(chunks);
        expect(told).toEqual(compiled(chunks));
        for (const each of told) seen.add(String(Array.isArray(each) ? each[0] : each));
      }),
      { numRuns: 4000, examples: WHOLE },
    );
    expect([...seen]).toEqual(
      expect.arrayContaining(['wasm_on_body', 'wasm_on_headers_complete', 'wasm_on_message_complete']),
    );
  });
});
