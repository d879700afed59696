import fs from 'node:fs';
import os from 'node:os';
import { RdpullError } from '../console/rdpull-error.ts';
import type { Findings } from './finding.ts';

/** Whether the kernel that runs here has loop devices: it is the one that boots, when nothing else is said. */
export function checkOwnKernel(findings: Findings): void {
  const release = os.release();
  if (fs.existsSync('/sys/module/loop') || fs.existsSync('/dev/loop-control')) {
    findings.ok('kernel', `Linux ${release}, which runs here, has loop devices`);
    return;
  }
  const lists = ['/lib/modules', '/usr/lib/modules'].flatMap((directory) =>
    ['modules.builtin', 'modules.dep'].map((name) => `${directory}/${release}/${name}`),
  );
  const readable = lists.filter((list) => fs.existsSync(list));
  if (readable.some((list) => /\/loop\.ko\b/.test(fs.readFileSync(list, 'utf8')))) {
    findings.ok(
      'kernel',
      `Linux ${release}, which runs here, has the module loop: it must be in the initrd, too`,
    );
  } else if (readable.length === 0) {
    findings.warn(
      'kernel',
      `whether Linux ${release} has loop devices cannot be told: there is no list of its modules here`,
    );
  } else {
    findings.fail(
      'kernel',
      new RdpullError(
        'loop-missing',
        `Linux ${release}, which runs here, has no loop devices, neither built in nor as a module`,
        'boot a kernel with CONFIG_BLK_DEV_LOOP',
      ),
    );
  }
}
