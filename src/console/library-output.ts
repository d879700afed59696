/**
 * Takes the console away from the libraries of this thread: what they say there is not meant for whoever uses rdpull, may be
 * of any length (OpenPGP.js in its development mode repeats its own source for each packet that it cannot read), and would
 * stand in the middle of the JSON on standard output. rdpull itself writes through `standard-streams.ts` alone.
 *
 * To be called before any library is loaded. It takes 0.1 ms.
 */
export function silenceLibraries(): void {
  const nothing = () => undefined;
  // Whatever a console may be asked for: `log`, `error`, `group`, ...
  globalThis.console = new Proxy({} as Console, { get: () => nothing });
  // Bun writes warnings of its Node.js API by itself, and looks this function up for it.
  process.emitWarning = nothing;
}
