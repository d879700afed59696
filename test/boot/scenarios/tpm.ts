import fs from 'node:fs';
import { CertificateAuthority } from '../../fixtures/certificate-authority.ts';
import { emergencyShell } from '../emergency-shell.ts';
import { makeEsp } from '../esp.ts';
import { copyVariables, firmware } from '../firmware.ts';
import type { Guest } from '../guest.ts';
import { makeDisk, pack } from '../image.ts';
import type { ImageServer } from '../image-server.ts';
import type { InitrdFile } from '../initrd.ts';
import { CONSOLE, expectBooted, expectConsole, type Lab } from '../lab.ts';
import { makeRootTree, type RootTree } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { makeUki } from '../uki.ts';

const TOKEN = 'c2VjcmV0IG9mIHRoZSBsYWI';

/** So that nobody has to know a password in the emergency shell. */
const SHELL = 'SYSTEMD_SULOGIN_FORCE=1';

/** On a busy host an emulated machine may need longer than the usual 90 seconds for its devices. */
const PATIENCE = 'systemd.default_device_timeout_sec=600';

/** What SECURITY.md says of credentials that are bound to a machine. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'tpm',
    title:
      'an expression and a token sealed to a TPM boot that machine; with another TPM they do not, and it is said why',
    async run(lab) {
      using authority = CertificateAuthority.root();
      const site = await lockedSite(lab, authority);
      const sealed = await seal(lab, site);
      await installOnDisk(lab, site, sealed);

      await using own = await bootDisk(lab, 'own');
      await expectBooted(lab, own, site.tree);
      // The disk is another machine's next.
      await own.switchedOff();
      if (site.server.requests.length === 0) throw new Error('the server was not asked');

      site.server.requests.length = 0;
      await expectRefused(
        await bootDisk(lab, 'other'),
        /rdpull-generator: the credential import\.pull is ignored: .*sealed to another TPM/,
      );
      // The token alone: the expression is on the command line.
      const commandLine = `rd.systemd.pull=${site.expression} ${SHELL} ${PATIENCE}`;
      await expectRefused(
        await start(lab, 'other', await lab.direct('forky', lab.file('initrd'), commandLine)),
        /rdpull: error: the credential rdpull\.bearer cannot be used: .*sealed to another TPM/,
      );
      if (site.server.requests.length > 0) throw new Error('the server was asked without the token');
    },
  },
];

/** The machine is switched off then, so that another one can have its TPM. */
async function expectRefused(guest: Guest, said: RegExp): Promise<void> {
  await using machine = guest;
  await machine.waitFor(
    /Entering emergency mode|You are in emergency mode/,
    /rdpull-lab: booted|Kernel panic/,
  );
  expectConsole(machine, said);
}

/** A server that gives its image to those who have the token. */
interface Site {
  readonly tree: RootTree;
  readonly server: ImageServer;
  readonly expression: string;
  /** For the initrd: whom to trust. */
  readonly files: Readonly<Record<string, InitrdFile>>;
}

async function lockedSite(lab: Lab, authority: CertificateAuthority): Promise<Site> {
  const tree = await makeRootTree(lab.file('tree'));
  await makeDisk(tree, 'ext4', `${lab.served}/root.raw`);
  await pack(`${lab.served}/root.raw`, 'xz');
  const certificate = authority.issue('server', { names: 'IP:10.0.2.2' });
  const server = await lab.serve({ certificate, token: TOKEN });
  return {
    tree,
    server,
    expression: `raw,machine,blockdev,verify=no:root:${server.url('root.raw.xz')}`,
    files: { 'etc/ssl/certs/ca-certificates.crt': { content: fs.readFileSync(authority.cert) } },
  };
}

interface Sealed {
  readonly expression: string;
  readonly token: string;
}

/** Types the recipe of SECURITY.md on the machine, and reads what comes of it from its console. */
async function seal(lab: Lab, { server, expression, files }: Site): Promise<Sealed> {
  const initrd = await lab.initrd('forky', files);
  await using guest = await start(
    lab,
    'own',
    await lab.direct('forky', initrd, `rd.systemd.unit=emergency.target ${SHELL} ${PATIENCE}`),
  );
  const shell = await emergencyShell(guest);
  const encrypted = async (name: string, text: string) => {
    await shell(
      `echo '${text}' | systemd-creds encrypt --with-key=tpm2 --tpm2-pcrs=7 --name=${name} - /run/${name}`,
      `sealed-${name}`,
    );
    await shell(`echo "BEGIN" ${name}; cat /run/${name}; echo "END" ${name}`, `shown-${name}`);
    const [, shown = ''] = new RegExp(`^BEGIN ${name}$([\\s\\S]*?)^END ${name}$`, 'm').exec(guest.text) ?? [];
    if (shown.trim() === '') throw new Error(`the console does not show the credential ${name}`);
    return shown.trim();
  };
  return {
    expression: await encrypted('import.pull', expression),
    token: await encrypted('rdpull.bearer', `${new URL(server.url('')).origin} ${TOKEN}`),
  };
}

/**
 * systemd 261 and later change PCR 7 in the initrd of a UKI, when the generators have run: what they can decrypt services
 * could not, and the other way round.
 */
const ONE_STATE = 'rd.systemd.mask=systemd-pcrosseparator.service';

/** A disk with an ESP alone: the UKI, with the token in its initrd, and the expression beside it. */
async function installOnDisk(lab: Lab, { files }: Site, { expression, token }: Sealed): Promise<void> {
  const initrd = await lab.initrd('forky', {
    ...files,
    'etc/credstore.encrypted/rdpull.bearer': { content: token },
  });
  await makeUki(
    { initrd, commandLine: `${CONSOLE} ${SHELL} ${PATIENCE} ${ONE_STATE}` },
    lab.file('image.efi'),
  );
  fs.writeFileSync(lab.file('import.pull.cred'), expression);
  await makeEsp(lab.file('disk.raw'), {
    'EFI/BOOT/BOOTX64.EFI': lab.file('image.efi'),
    'loader/credentials/import.pull.cred': lab.file('import.pull.cred'),
  });
}

function bootDisk(lab: Lab, tpm: string): Promise<Guest> {
  const drive = ['-drive', `if=none,id=disk,format=raw,file=${lab.file('disk.raw')}`];
  return start(lab, tpm, [...drive, '-device', 'virtio-blk-pci,drive=disk,bootindex=0']);
}

/** Switches on a machine with firmware and a TPM: machines that have the same one differ in nothing. */
async function start(lab: Lab, tpm: string, boot: readonly string[]): Promise<Guest> {
  const variables = lab.file(`${tpm}-variables.fd`);
  if (!fs.existsSync(variables)) copyVariables(variables);
  const { options } = await lab.tpm(tpm);
  return lab.start({ boot: [...firmware(variables), ...boot], options });
}
