/**
 * The parts of undici that are used: its index would load caches, mocks, web sockets and fetch with them. The package has
 * another name here (package.json), because the runtime has a module `undici` of its own, which trusts whom it likes.
 */
declare module 'undici-real/lib/dispatcher/pool.js' {
  export { Pool as default } from 'undici-real';
}

declare module 'undici-real/lib/core/symbols.js' {
  /** Where a socket has its parser. */
  export const kParser: unique symbol;
}

declare module 'undici-real/lib/llhttp/llhttp-wasm.js' {
  /** The parser of answers, as it is compiled from C. */
  const wasm: Uint8Array;
  export default wasm;
}
