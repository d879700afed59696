import { expect, test } from 'bun:test';
import fs from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { leasesOfNetworkd } from '../../../src/origin/dhcp/networkd-socket.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';
import { recorded } from './lease-tree.ts';

/** What is read of a socket that answers like this to whatever is asked, and what it was asked. */
async function ask(answer: string | undefined) {
  using root = new TemporaryDirectory();
  const socket = root.file('run/systemd/netif/io.systemd.Network');
  fs.mkdirSync(path.dirname(socket), { recursive: true });
  const asked: string[] = [];
  const server = createServer((peer) => {
    peer.on('error', () => undefined);
    peer.on('data', (data) => {
      asked.push(data.toString());
      if (answer === undefined) peer.destroy();
      else peer.write(answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const details: string[] = [];
  try {
    const leases = await leasesOfNetworkd(root.path, (text) => details.push(text.replace(root.path, '')));
    return { asked, details, leases: leases.map(({ source: _, ...lease }) => lease) };
  } finally {
    server.close();
  }
}

test('systemd-networkd 262 says all that its DHCP server has said', async () => {
  const { asked, details, leases } = await ask(`${recorded('networkd-262.json')}\0`);
  expect(asked).toEqual(['{"method":"io.systemd.Network.Describe"}\0']);
  expect(details).toEqual([]);
  expect(leases).toEqual([
    {
      interface: 'cli',
      bootFile: 'http://10.9.0.1:8081/image.efi',
      rootPath: 'http://10.9.0.1:8081/images/',
      tftpServer: undefined,
      nextServer: '10.9.0.2',
      gateway: '10.9.0.1',
      dhcpServer: '10.9.0.1',
    },
  ]);
});

/** The recorded answer, with other options. */
function withOptions(options: readonly { tag: number; data: string }[]): string {
  const answer = JSON.parse(recorded('networkd-262.json'));
  answer.parameters.Interfaces[1].DHCPv4Client.Lease.Message.options = options;
  return `${JSON.stringify(answer)}\0`;
}

test('options 66 and 67 go before the fields, which may hold other options', async () => {
  const hex = (text: string) => Buffer.from(text).toString('hex');
  const options = [
    { tag: 66, data: hex('tftp.example.com') },
    { tag: 67, data: hex('http://h/option.efi\0') },
  ];
  const first = (await ask(withOptions(options))).leases[0];
  expect(first).toMatchObject({ tftpServer: 'tftp.example.com', bootFile: 'http://h/option.efi' });
  const overloaded = (await ask(withOptions([{ tag: 52, data: '01' }]))).leases[0];
  expect(overloaded?.bootFile).toBeUndefined();
});

test.each([
  ['nothing', undefined, 'it hangs up without an answer'],
  ['no JSON', 'hello\0', 'JSON'],
  ['more than there can be', 'x'.repeat(5 * 1024 * 1024), 'its answer is longer than 4194304 bytes'],
])('an answer that is none: %s', async (_, answer, why) => {
  const { details, leases } = await ask(answer);
  expect(leases).toEqual([]);
  expect(details).toHaveLength(1);
  expect(details[0]).toStartWith('/run/systemd/netif/io.systemd.Network says nothing of DHCP: ');
  expect(details[0]).toContain(why);
});

test.each(['{}', '[]', '{"parameters":{"Interfaces":[null,1,{"DHCPv4Client":{"Lease":{"Message":7}}}]}}'])(
  'an answer of another form says nothing: %s',
  async (answer) => {
    expect(await ask(`${answer}\0`)).toMatchObject({ details: [], leases: [] });
  },
);
