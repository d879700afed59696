import { directBoot } from '../direct-boot.ts';
import type { Guest } from '../guest.ts';
import { makeDisk } from '../image.ts';
import { type Demand, startTarget, type Target } from '../kernel-target.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { NvmeHost } from '../nvme-host.ts';
import { BOTH_DIGESTS, NvmeRelay, type RelayedConnection } from '../nvme-relay.ts';
import { MARK, makeRootTree, type RootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { tool } from '../tool.ts';

/** As nvme gen-dhchap-key of nvme-cli 2.3 has printed them. */
const SECRET = 'DHHC-1:01:KErrK5uE3DpYFGPlCOAFN48Lp5doI7KHb543Us4Gj46xuMJo:';
const CONTROLLER_SECRET = 'DHHC-1:00:bosY+84LfVaRitl9h1S6sAlIMOiHTLLYYKjic+ljsFSupOFV:';
const WRONG = 'DHHC-1:00:MdQ3PrtOQMSzbA2Wqd0O5xVg6MHNRvCY8Dep+x/5RSVUb4uzXgMHfNJ2dp+v/ghR0ZwMnA==:';

/** What is in each of them, and in nothing else. */
const INSIDE = ['KErrK5uE3Dp', 'bosY+84LfV', 'MdQ3PrtOQM'] as const;

const NQN = 'nqn.2023-10.io.systemd:storagetm.0123456789abcdef0123456789abcdef.image.raw';

/** Of the machine that boots, by its firmware; and of the small one, by its machine ID. */
const UUID = '2cfdba7b-cf7a-4f1f-9d25-3b0a1f9e8d11';
const MACHINE_ID = '01234567-89ab-cdef-0123-456789abcdef';

const hostNqn = (uuid: string) => `nqn.2014-08.org.nvmexpress:uuid:${uuid}`;

/** Looks for the secrets wherever somebody could find them, but where systemd keeps credentials, and in those files that only root reads. */
const LEAKS = `
busybox printf '%s\\n' ${INSIDE.join(' ')} >/run/inside
busybox dmesg >/run/dmesg
echo "${MARK} authenticated $(grep -c 'qid 0: authenticated$' /run/dmesg) $(grep -c 'qid 0: controller authenticated' /run/dmesg)"
cd /sys/class/nvme/nvme0
echo "${MARK} for root alone" $(ls -l dhchap_secret dhchap_ctrl_secret | awk '{ print $1 }') $(cat dhchap_secret dhchap_ctrl_secret | grep -cFf /run/inside)
echo "${MARK} leaks:" $(busybox find /proc/cmdline /proc/1/environ /run -type f -exec grep -lFf /run/inside {} + | grep -v -e ^/run/credentials/ -e ^/run/inside) "."
`;

/** An image that a target gives only to who shows itself. */
async function startDemanding(lab: Lab, tree: RootTree, demands: Demand): Promise<Target> {
  const image = lab.file('image.raw');
  await makeDisk(tree, 'ext4', image);
  return startTarget(lab, [{ nqn: NQN, image, demands }]);
}

/** Switches on a machine whose firmware has credentials. */
function bootWith(lab: Lab, target: Target, credentials: Readonly<Record<string, string>>): Promise<Guest> {
  return directBoot(lab, {
    commandLine: `rd.systemd.pull=raw,machine,verify=no:root:${target.url}/${NQN} rw`,
    options: [
      ...['-uuid', UUID],
      ...Object.entries(credentials).flatMap(([name, value]) => [
        '-smbios',
        `type=11,value=io.systemd.credential:rdpull.${name}=${value}`,
      ]),
    ],
  });
}

/** @throws Error when the console shows one */
function expectNoSecret(text: string): void {
  if (INSIDE.some((inside) => text.includes(inside))) throw new Error(`a secret is shown: ${text}`);
}

/** A target that wants to know who asks, and digests on the wire. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'nvme-auth',
    title:
      'a target that demands DH-HMAC-CHAP: machine and target show themselves, by credentials of the firmware, and nobody sees how',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'), LEAKS);
      const demands = { hostNqn: hostNqn(UUID), secret: SECRET, controllerSecret: CONTROLLER_SECRET };
      const target = await startDemanding(lab, tree, demands);
      const guest = await bootWith(lab, target, {
        'dhchap-secret': SECRET,
        'dhchap-ctrl-secret': CONTROLLER_SECRET,
      });
      await expectBooted(lab, guest, tree);
      expectConsole(guest, new RegExp(`${MARK} root .* - ext4 /dev/nvme0n1p1 rw`));
      expectConsole(guest, new RegExp(`${MARK} authenticated 1 1\\n`));
      expectConsole(guest, new RegExp(`${MARK} for root alone -rw------- -rw------- 2\\n`));
      expectConsole(guest, new RegExp(`${MARK} leaks: \\.\\n`));
      expectNoSecret(guest.text);
    },
  },
  {
    name: 'nvme-auth-refused',
    title: 'the wrong secret: the console says so, and what to try, and shows nothing of it',
    async run(lab) {
      const tree = await makeRootTree(lab.file('tree'));
      const target = await startDemanding(lab, tree, { hostNqn: hostNqn(UUID), secret: SECRET });
      const guest = await bootWith(lab, target, { 'dhchap-secret': WRONG });
      for (const said of [
        `rdpull: error: 10\\.0\\.2\\.2:${target.port}: the server does not take the secret of this machine for ${NQN}`,
        'try: compare the credential rdpull\\.dhchap-secret with what the target has for the host NQN of this machine',
        `retry: CREDENTIALS_DIRECTORY=/run/credentials/@system rdpull attach `,
      ])
        await guest.waitFor(new RegExp(said), /Kernel panic/);
      expectNoSecret(guest.text);
      lab.report(guest);
    },
  },
  {
    name: 'nvme-auth-by-hand',
    title:
      'rdpull attach of what demands DH-HMAC-CHAP: a secret that is missing, wrong or mistyped, and a kernel that has none, are told from each other',
    async run(lab) {
      const demands: Demand = {
        hostNqn: hostNqn(MACHINE_ID),
        secret: SECRET,
        controllerSecret: CONTROLLER_SECRET,
        group: 'ffdhe2048',
      };
      const target = await startDemanding(lab, await makeRootTree(lab.file('tree')), demands);
      const url = `nvme+tcp://10.0.2.2:${target.port}`;
      const host = await NvmeHost.start(lab, { hasRdpull: true });
      await refusals(host, `${url}/${NQN}`, REFUSALS);
      await plant(host, SECRET, CONTROLLER_SECRET);
      // Without a name, the server is asked what it has.
      await host.ask(
        `rdpull attach --json ${url}; echo "status $?"`,
        /"device":"\/dev\/nvme0n1"[\s\S]*status 0\n/,
      );
      await host.ask(`rdpull detach ${url}; echo "status $?"`, /status 0\n/);

      const old = await NvmeHost.start(lab, { hasRdpull: true, suite: 'bookworm' });
      await refusals(old, `${url}/${NQN}`, [WITHOUT_AUTHENTICATION]);
    },
  },
  {
    name: 'nvme-digests',
    title:
      'on the wire: heads and data carry digests where the target has them, and a line says so where it has none; by a name, and by IPv6',
    async run(lab) {
      const image = lab.file('image.raw');
      await makeDisk(await makeRootTree(lab.file('tree')), 'ext4', image);
      const content = (await tool(['sha256sum', image])).slice(0, 64);
      const target = await startTarget(lab, [{ nqn: NQN, image }]);
      const host = await NvmeHost.start(lab, { hasRdpull: true });
      await host.ask('echo 10.0.2.2 target.example >/etc/hosts', /^/);
      for (const address of ['10.0.2.2', 'target.example', '[FEC0::0:2]']) {
        await using relay = await NvmeRelay.start(target.port, { hasDigests: true });
        const said = await readAll(host, `nvme+tcp://${address}:${relay.port}/${NQN}`, content);
        if (said.includes('no digests')) throw new Error(`rdpull says ${said}`);
        for (const connection of relay.connections) expectDigests(connection, BOTH_DIGESTS);
      }
      await using poor = await NvmeRelay.start(target.port, { hasDigests: false });
      const said = await readAll(host, `nvme+tcp://10.0.2.2:${poor.port}/${NQN}`, content);
      const lines = said.split('\n').filter((line) => line.includes('has no digests over heads and data'));
      if (lines.length !== 1) throw new Error(`rdpull says ${said}, and not one line about digests`);
      const [refused, ...others] = poor.connections;
      if (refused?.asked !== BOTH_DIGESTS || refused.granted !== 0 || others.length === 0)
        throw new Error(`the target was not asked for digests first: ${JSON.stringify(poor.connections)}`);
      for (const connection of others) expectDigests(connection, 0);
    },
  },
];

type Refusal = readonly [secrets: readonly string[], status: number, said: string];

const REFUSALS: readonly Refusal[] = [
  [[], 10, `the server asks for a secret for ${NQN}, and this machine has none`],
  [[WRONG], 10, `the server does not take the secret of this machine for ${NQN}`],
  [[SECRET, WRONG], 10, `the server does not show itself with the secret that it should have for ${NQN}`],
  [
    [SECRET.replace('KErr', 'KErs')],
    2,
    'rdpull.dhchap-secret cannot be used: its checksum is not that of the secret',
  ],
  [
    [SECRET, 'DHHC-1:KErrK5uE3Dp'],
    2,
    'rdpull.dhchap-ctrl-secret cannot be used: it is no secret of DH-HMAC-CHAP',
  ],
];

/** Linux 6.1 of Debian takes a secret, and does nothing with it. */
const WITHOUT_AUTHENTICATION: Refusal = [
  [SECRET],
  15,
  `the server asks this machine to authenticate itself for ${NQN}, and this kernel has no DH-HMAC-CHAP`,
];

/** Has rdpull refused again and again; neither it nor the kernel shows a secret. */
async function refusals(host: NvmeHost, url: string, expected: readonly Refusal[]): Promise<void> {
  for (const [secrets, status, said] of expected) {
    await plant(host, ...secrets);
    const [shown] = await host.ask(
      `rdpull attach --json ${url} 2>&1; echo "status $?"; dmesg; ls /sys/class/nvme`,
      new RegExp(`^[^]*${said}[^]*status ${status}\\n[^]*$`),
    );
    expectNoSecret(shown);
    if (/^nvme\d/m.test(shown)) throw new Error(`something stays connected: ${shown}`);
  }
}

/** Gives the machine its credentials, and takes those that it had. */
async function plant(host: NvmeHost, ...secrets: readonly string[]): Promise<void> {
  const files = secrets.map(
    (secret, index) => `echo ${secret} >${['rdpull.dhchap-secret', 'rdpull.dhchap-ctrl-secret'][index]}`,
  );
  const directory = 'export CREDENTIALS_DIRECTORY=/run/credentials';
  await host.ask(
    [
      directory,
      'rm -rf /run/credentials; mkdir /run/credentials; cd /run/credentials',
      ...files,
      'cd /',
    ].join('; '),
    /^/,
  );
}

/** @returns what rdpull says of it */
async function readAll(host: NvmeHost, url: string, content: string): Promise<string> {
  const [said] = await host.ask(`rdpull attach ${url} 2>&1; echo "status $?"`, /^[\s\S]*status 0\n/);
  await host.ask('sha256sum /dev/nvme0n1', new RegExp(content));
  await host.ask(`rdpull detach ${url}; echo "status $?"`, /status 0\n/);
  return said;
}

/** @throws Error when a connection has other digests than `digests` */
function expectDigests(connection: RelayedConnection, digests: number): void {
  const { asked, granted, commands, commandsWithDigest, data, dataWithDigests } = connection;
  const has = digests === BOTH_DIGESTS;
  const isAsExpected =
    asked === digests &&
    granted === digests &&
    commands > 0 &&
    data > 0 &&
    commandsWithDigest === (has ? commands : 0) &&
    dataWithDigests === (has ? data : 0);
  if (!isAsExpected) throw new Error(`on the wire there was ${JSON.stringify(connection)}`);
}
