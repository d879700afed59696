import fs from 'node:fs';
import { copyVariables, firmware } from '../firmware.ts';
import { expectConsole } from '../lab.ts';
import { MKOSI_PORT, Mkosi, requireUnusedPort } from '../mkosi.ts';
import type { Scenario } from '../scenario.ts';

/** A whole Debian boots twice, and an image is made in between: seconds. */
const LIMIT = 3600;

/**
 * On a busy host an emulated machine may need longer than the usual 90 seconds for its console. systemd-stub adds this to the
 * command line, and the image stays as it is (smbios-type-11(7)).
 */
const PATIENCE = [
  '-smbios',
  'type=11,value=io.systemd.stub.kernel-cmdline-extra=systemd.default_device_timeout_sec=600 no_timer_check',
];

const FAILURE = /Kernel panic|Entering emergency mode|You are in emergency mode|BdsDxe: No bootable option/;

/** The loop of the README, with the checkout's own mkosi/ and what is in dist/mkosi afterwards. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'mkosi-serve',
    title:
      'mkosi -f serve; a machine boots, the image is changed and built anew, the machine reboots into that',
    async run(lab) {
      const log = lab.log.replace(/\.log$/, '-mkosi.log');
      fs.rmSync(log, { force: true });
      await requireUnusedPort();
      const took = stopwatch();
      await using server = new Mkosi(['-f', 'serve'], log);
      await server.serving('SHA256SUMS');
      lab.notes.push(`the first image is served after ${took()} s`);
      const variables = lab.file('variables.fd');
      copyVariables(variables);
      const guest = lab.start({
        boot: firmware(variables),
        network: `,bootfile=http://10.0.2.2:${MKOSI_PORT}/image.efi`,
        networkDevice: ',bootindex=0',
        options: PATIENCE,
        reboots: true,
        limit: LIMIT,
      });
      await guest.waitFor(/localhost login:/, FAILURE);
      lab.report(guest);
      lab.notes.push(`login ${guest.seconds().toFixed(0)} s after the machine was switched on`);

      const tookAgain = stopwatch();
      await using build = new Mkosi(['-f', '--hostname=changed', 'build'], log);
      await build.done();
      lab.notes.push(`the changed image is built in ${tookAgain()} s`);
      // Without a password; only at the screen it is without a name, too.
      guest.type('root');
      await guest.waitFor(/root@localhost:/, FAILURE);
      const before = guest.seconds();
      guest.type('systemctl reboot');
      await guest.waitFor(/changed login:/, FAILURE);
      lab.notes.push(`login ${(guest.seconds() - before).toFixed(0)} s after it was told to reboot`);
      expectConsole(
        guest,
        /verified by http:\/\/10\.0\.2\.2:8081\/SHA256SUMS[\s\S]*verified by http:\/\/10\.0\.2\.2:8081\/SHA256SUMS/,
      );
    },
  },
];

function stopwatch(): () => string {
  const begun = performance.now();
  return () => ((performance.now() - begun) / 1000).toFixed(0);
}
