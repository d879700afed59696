import { expect, test } from 'bun:test';
import path from 'node:path';
import { findServerInterface } from '../../src/origin/server-interface.ts';
import { run } from '../fixtures/run.ts';

const MODULE = path.resolve(import.meta.dir, '../../src/origin/server-interface.ts');

/** Two networks, IPv4 and IPv6, and no name server, in a network namespace of their own. */
const NETWORKS = `
ip link set lo up
for n in 1 2; do
  ip link add lan$n address 52:54:00:AB:CD:0$n type veth peer name peer$n
  ip address add 10.0.$n.7/24 dev lan$n
  ip address add fd00:$n::7/64 dev lan$n nodad
  ip link set lan$n up
  ip link set peer$n up
done
ip route add default via 10.0.2.1
`;

/** What is found for each host in a network namespace that `setup` has prepared: the interface, or the error's code. */
function found(setup: string, ...hosts: string[]): unknown[] {
  const program = `import { findServerInterface } from ${JSON.stringify(MODULE)};
    const found = [];
    for (const host of ${JSON.stringify(hosts)}) found.push(await findServerInterface(host).catch(({ code }) => code));
    console.log(JSON.stringify(found));`;
  const script = `${setup} exec "$@"`;
  const output = run(['unshare', '-n', 'sh', '-ec', script, 'sh', process.execPath, '-e', program]);
  return JSON.parse(output.toString());
}

test('the route decides which interface reaches a server', () => {
  expect(
    found(NETWORKS, '10.0.1.9', '10.0.2.9', '203.0.113.80', 'fd00:1::9', 'fd00:2::9', '10.0.1.7'),
  ).toEqual([
    { name: 'lan1', mac: '52:54:00:ab:cd:01', family: 4 },
    { name: 'lan2', mac: '52:54:00:ab:cd:02', family: 4 },
    { name: 'lan2', mac: '52:54:00:ab:cd:02', family: 4 },
    { name: 'lan1', mac: '52:54:00:ab:cd:01', family: 6 },
    { name: 'lan2', mac: '52:54:00:ab:cd:02', family: 6 },
    { name: 'lan1', mac: '52:54:00:ab:cd:01', family: 4 },
  ]);
});

test('no route and no such name are told apart', () => {
  expect(found(NETWORKS, '2001:db8::1')).toEqual(['ENETUNREACH']);
  expect(found('', 'nowhere.invalid')).toEqual([expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/)]);
});

test('the loopback interface has no hardware address', async () => {
  expect(await findServerInterface('127.0.0.1')).toEqual({ name: 'lo', mac: undefined, family: 4 });
});
