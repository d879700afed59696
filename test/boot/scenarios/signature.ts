import fs from 'node:fs';
import type { GpgHome } from '../../fixtures/gpg.ts';
import { directBoot } from '../direct-boot.ts';
import { emergencyShell } from '../emergency-shell.ts';
import type { Guest } from '../guest.ts';
import { makeDisk, pack } from '../image.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { makeRootTree, type RootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { type SignedSite, signedSite } from '../signed-site.ts';

/** What is wrong on the server, and what has to be said about it. */
interface Deceit {
  readonly name: string;
  readonly title: string;
  readonly core?: true;
  readonly said: RegExp;
  spoil(served: string, gpg: GpgHome): Promise<void> | void;
}

const DECEITS: readonly Deceit[] = [
  {
    name: 'signature-tampered',
    title:
      'verify=signature: another image under a good signature does not boot; the emergency shell can pull',
    core: true,
    said: /rdpull: error: .*root\.raw\.xz is not what was promised.*SHA-256/,
    async spoil(served) {
      const other = await makeRootTree(`${served}/../other`);
      await makeDisk(other, 'ext4', `${served}/root.raw`);
      await pack(`${served}/root.raw`, 'xz');
    },
  },
  {
    name: 'signature-missing',
    title: 'verify=signature: an image without a signature does not boot',
    said: /rdpull: error: nobody has signed the checksums of .*root\.raw\.xz/,
    spoil: (served) => fs.rmSync(`${served}/SHA256SUMS.gpg`),
  },
  {
    name: 'signature-wrong-key',
    title: 'verify=signature: a signature by a key that is not in the initrd does not boot',
    said: /rdpull: error: .*SHA256SUMS\.gpg.*key/,
    spoil(served, gpg) {
      const stranger = gpg.generateKey('Stranger <stranger@example.com>');
      const sums = fs.readFileSync(`${served}/SHA256SUMS`);
      fs.writeFileSync(`${served}/SHA256SUMS.gpg`, gpg.sign(sums, { by: stranger, armor: false }));
    },
  },
];

const EMERGENCY = /Entering emergency mode|You are in emergency mode/;
const BOOTED_OR_DEAD = /rdpull-lab: booted|Kernel panic/;

/** The key is in the initrd, as it would be in a UKI. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'signature',
    title: 'verify=signature: an image that a key in the initrd has signed boots',
    async run(lab) {
      using site = await signedSite(lab);
      const guest = await boot(lab, site);
      await expectBooted(lab, guest, site.tree);
      expectConsole(guest, /rdpull: .* written in .*sign/);
    },
  },
  {
    name: 'signature-with-login',
    title:
      'verify=signature, and a login in the URL: the unit, which alone knows it, is started again from the emergency shell',
    async run(lab) {
      using site = await signedSite(lab);
      const sums = `${lab.served}/SHA256SUMS`;
      fs.renameSync(sums, lab.file('SHA256SUMS'));
      const guest = await boot(lab, site, 'lab:s3cr3t@');
      await guest.waitFor(EMERGENCY, BOOTED_OR_DEAD);
      lab.report(guest);
      fs.renameSync(lab.file('SHA256SUMS'), sums);
      await restartInEmergency(guest, site.tree);
    },
  },
  ...DECEITS.map(
    ({ spoil, said, ...about }): Scenario => ({
      ...about,
      async run(lab) {
        using site = await signedSite(lab);
        fs.cpSync(lab.served, lab.file('honest'), { recursive: true });
        await spoil(lab.served, site.gpg);
        const guest = await boot(lab, site);
        await guest.waitFor(EMERGENCY, BOOTED_OR_DEAD);
        expectConsole(guest, said);
        lab.report(guest);
        await pullInEmergency(lab, guest, site.tree);
      },
    }),
  ),
];

async function boot(lab: Lab, { keyring }: SignedSite, login = ''): Promise<Guest> {
  const server = await lab.serve();
  const url = server.url('root.raw.xz').replace('://', `://${login}`);
  return await directBoot(lab, {
    files: { 'etc/systemd/import-pubring.pgp': { content: keyring } },
    // So that nobody has to know a password in the emergency shell.
    commandLine: `rd.systemd.pull=raw,machine,blockdev:root:${url} SYSTEMD_SULOGIN_FORCE=1`,
  });
}

/** What the console has shown is pasted; the boot goes on from there, as the shell's own words say. */
async function restartInEmergency(guest: Guest, tree: RootTree): Promise<void> {
  const shell = await emergencyShell(guest);
  await shell('! rdpull status', 'status-was-shown');
  const [, retry = ''] = /^retry: (systemctl restart .*)$/m.exec(guest.text) ?? [];
  await shell(retry, 'pulled-by-the-unit');
  guest.type('systemctl --no-block default');
  await guest.waitFor(/rdpull-lab: end/, /Kernel panic/);
  expectConsole(guest, new RegExp(`proof ${tree.sha256} `));
}

/** The server has what it should have again; the command that the console has shown is pasted, and the boot goes on. */
async function pullInEmergency(lab: Lab, guest: Guest, tree: RootTree): Promise<void> {
  fs.rmSync(lab.served, { recursive: true });
  fs.renameSync(lab.file('honest'), lab.served);
  const shell = await emergencyShell(guest);
  // It has the exit status of what has failed.
  await shell('! rdpull status', 'status-was-shown');
  expectConsole(guest, /^failed +\/run\/machines\/root\.raw$/m);
  expectConsole(guest, /^ +verified +no; asked for: verify=signature$/m);
  await shell("journalctl -o verbose -u 'rdpull@*' | grep RDPULL_ERROR=", 'journal-was-read');
  expectConsole(guest, /^ +RDPULL_ERROR=[a-z]+-[a-z-]+$/m);
  const [, retry = ''] = /^retry: (rdpull pull .*)$/m.exec(guest.text) ?? [];
  await shell(retry, 'pulled-by-hand');
  expectConsole(guest, /^\/dev\/loop0p1 /m);
  await shell('mount -o ro /dev/loop0p1 /sysroot', 'mounted-by-hand');
  guest.type('systemctl --no-block switch-root /sysroot');
  await guest.waitFor(/rdpull-lab: end/, /Kernel panic/);
  expectConsole(guest, new RegExp(`proof ${tree.sha256} `));
}
