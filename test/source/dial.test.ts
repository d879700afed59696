import { expect, test } from 'bun:test';
import path from 'node:path';
import { run } from '../fixtures/run.ts';

/** The code of the error that a connection ends with, in a network of its own that a script makes. */
function failure(network: string, host: string): string {
  const module = JSON.stringify(path.resolve(import.meta.dir, '../../src/source/dial.ts'));
  const program = `const { dial } = await import(${module});
await dial(${JSON.stringify(host)}, 9, new AbortController().signal, 5000).catch(({ code }) => console.log(code));`;
  const script = `${network}\nexec "$@"`;
  return run(['unshare', '-n', 'sh', '-ec', script, 'sh', process.execPath, '-e', program]).toString().trim();
}

test.each([
  ['a network that is not up', ':', '192.0.2.1', 'ENETUNREACH'],
  ['a network without a route to the server', 'ip link set lo up', '192.0.2.1', 'ENETUNREACH'],
  ['a network without IPv6', 'ip link set lo up', '2001:db8::1', 'ENETUNREACH'],
  ['a server that refuses', 'ip link set lo up', '127.0.0.1', 'ECONNREFUSED'],
])('%s is called by its name', (_, network, host, code) => {
  expect(failure(network, host)).toBe(code);
});
