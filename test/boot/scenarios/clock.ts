import fs from 'node:fs';
import { CertificateAuthority } from '../../fixtures/certificate-authority.ts';
import type { Suite } from '../../fixtures/suite-tree.ts';
import { directBoot } from '../direct-boot.ts';
import { type InitrdFile, initrd } from '../initrd.ts';
import { expectBooted, expectConsole } from '../lab.ts';
import type { Scenario } from '../scenario.ts';
import { CHECKOUT } from '../scratch.ts';
import { signedSite } from '../signed-site.ts';
import { tool } from '../tool.ts';

/** What a clock without a battery says. */
const BATTERY_IS_EMPTY = ['-rtc', 'base=1970-01-01T00:00:00'];

/** By its date PID 1 knows when the initrd was made. */
const EPOCH_FILE = 'usr/lib/clock-epoch';

const HOUR = 60 * 60;
const DAY = 24 * HOUR;

interface Variant {
  readonly name: string;
  readonly title: string;
  readonly suite: Suite;
  readonly files?: Readonly<Record<string, InitrdFile>>;
  /** What the clock is moved to, or less than an hour before that: in seconds since 1970. */
  moment(): Promise<number>;
  /** Who has moved it. */
  readonly said: RegExp;
}

const VARIANTS: readonly Variant[] = [
  {
    name: 'clock-of-1970',
    title: 'a clock of 1970: PID 1 moves it to when the initrd was made, and https and a signature hold',
    suite: 'forky',
    moment: whenInitrdWasMade,
    said: /systemd\[1\]: System time .*\/usr\/lib\/clock-epoch/,
  },
  {
    name: 'clock-of-1970-no-epoch',
    title:
      'a clock of 1970, and an initrd that has lost its date (systemd 252): rdpull moves it to its own build',
    suite: 'bookworm',
    files: { [EPOCH_FILE]: { content: '', modified: new Date(0) } },
    moment: whenRdpullWasMade,
    said: /rdpull: .*the clock of this machine says 1970-.* it was advanced to /,
  },
];

/** Certificates and signatures that were made before the initrd, for a machine that does not know what time it is. */
export const scenarios: readonly Scenario[] = VARIANTS.map(
  ({ name, title, suite, files = {}, moment, said }): Scenario => ({
    name,
    title,
    async run(lab) {
      const moved = await moment();
      // Of the same day: systemd's own build, to which it moves the clock in any case, is an older one.
      const made = new Date(Math.floor(moved / DAY) * DAY * 1000);
      using authority = CertificateAuthority.root({ from: made.toISOString().slice(0, 10) });
      const certificate = authority.issue('server', {
        names: 'IP:10.0.2.2',
        from: made.toISOString().slice(0, 10),
      });
      using site = await signedSite(lab, {
        at: made,
        more: "busybox dmesg | grep 'systemd.*[Ss]ystem time'; busybox date",
      });
      const server = await lab.serve({ certificate });
      const guest = await directBoot(lab, {
        suite,
        files: {
          'etc/ssl/certs/ca-certificates.crt': { content: fs.readFileSync(authority.cert) },
          'etc/systemd/import-pubring.pgp': { content: site.keyring },
          ...files,
        },
        commandLine: `rd.systemd.pull=raw,machine,blockdev:root:${server.url('root.raw.xz')} SYSTEMD_SULOGIN_FORCE=1`,
        options: BATTERY_IS_EMPTY,
      });
      await expectBooted(lab, guest, site.tree);
      expectConsole(guest, said);
    },
  }),
);

/** The file in it is older than the whole, by less than an hour even on a busy machine. */
async function whenInitrdWasMade(): Promise<number> {
  return Math.floor(fs.statSync(await initrd('forky')).birthtimeMs / 1000) - HOUR;
}

/** As scripts/compile.ts has told the executable. */
async function whenRdpullWasMade(): Promise<number> {
  const given = process.env['SOURCE_DATE_EPOCH'];
  return Number(given ?? (await tool(['git', '-C', CHECKOUT, 'log', '-1', '--format=%ct'])));
}
