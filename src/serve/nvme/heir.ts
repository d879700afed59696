/**
 * Starts a process that takes all exports back when this one has ended and has not, because it was killed: the kernel would serve on, and
 * nobody would know. It waits for the lock that this one has. Its group is another one, so that what is for a whole terminal does not reach it.
 *
 * @returns ends it
 */
export function startHeir(): Disposable {
  const heir = Bun.spawn([process.execPath, 'serve', '--take-back'], {
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  heir.unref();
  return { [Symbol.dispose]: () => heir.kill('SIGKILL') };
}
