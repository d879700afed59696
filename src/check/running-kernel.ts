import fs from 'node:fs';
import os from 'node:os';
import { type ErrorCode, RdpullError } from '../console/rdpull-error.ts';
import type { PullRequest } from '../request/pull-request.ts';
import type { Findings } from './finding.ts';

/** A driver that a boot needs: its module, what is there when it is loaded, and what it is for. */
interface Driver {
  readonly module: string;
  readonly present: readonly string[];
  readonly what: string;
  readonly missing: ErrorCode;
  readonly setting: string;
}

const LOOP: Driver = {
  module: 'loop',
  present: ['/sys/module/loop', '/dev/loop-control'],
  what: 'loop devices',
  missing: 'loop-missing',
  setting: 'CONFIG_BLK_DEV_LOOP',
};

const NVME_TCP: Driver = {
  module: 'nvme-tcp',
  present: ['/sys/module/nvme_tcp'],
  what: 'NVMe over TCP',
  missing: 'nvme-missing',
  setting: 'CONFIG_NVME_TCP',
};

/** Whether the kernel that runs here has what the requests need: it is the one that boots, when nothing else is said. */
export function checkOwnKernel(findings: Findings, requests: readonly PullRequest[]): void {
  const devices = requests.filter(({ blockdev }) => blockdev);
  if (devices.some(({ remote }) => remote.kind !== 'nvme')) checkDriver(findings, LOOP);
  if (devices.some(({ remote }) => remote.kind === 'nvme')) checkDriver(findings, NVME_TCP);
}

function checkDriver(findings: Findings, { module, present, what, missing, setting }: Driver): void {
  const release = os.release();
  if (present.some((path) => fs.existsSync(path))) {
    findings.ok('kernel', `Linux ${release}, which runs here, has ${what}`);
    return;
  }
  const lists = ['/lib/modules', '/usr/lib/modules'].flatMap((directory) =>
    ['modules.builtin', 'modules.dep'].map((name) => `${directory}/${release}/${name}`),
  );
  const readable = lists.filter((list) => fs.existsSync(list));
  if (readable.some((list) => fs.readFileSync(list, 'utf8').includes(`/${module}.ko`))) {
    findings.ok(
      'kernel',
      `Linux ${release}, which runs here, has the module ${module}: it must be in the initrd, too`,
    );
  } else if (readable.length === 0) {
    findings.warn(
      'kernel',
      `whether Linux ${release} has ${what} cannot be told: there is no list of its modules here`,
    );
  } else {
    findings.fail(
      'kernel',
      new RdpullError(
        missing,
        `Linux ${release}, which runs here, has no ${what}, neither built in nor as a module`,
        `boot a kernel with ${setting}`,
      ),
    );
  }
}
