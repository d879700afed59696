import path from 'node:path';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { isNvmeUrl } from '../request/nvme-url.ts';
import { BOOT_SCREEN_OPTION } from './boot-screen-option.ts';
import type { Command, CommandLine } from './command.ts';
import { deviceLines } from './exposed.ts';
import { requirePath } from './pull-arguments.ts';

export const attach: Command = {
  name: 'attach',
  operand: 'FILE|URL',
  summary:
    'attach a disk image to a loop device, or a disk that stays on an NVMe server, and print the device and its partitions',
  description: `Attaches a raw image to a free loop device, with its partitions (GPT or MBR) or as one bare file system.
The device stays until rdpull detach, also after this program has ended.

URL is nvme+tcp://HOST[:PORT][/SUBSYSTEM-NQN[/NAMESPACE]]: a disk that stays on its server, of which nothing is
downloaded. Without a subsystem the server is asked what it has (on the ports 4420 and 8009, unless PORT says which),
and the one counts whose name ends in NAME, else the only one; nvme+tcp: is the server that this machine was booted
from over HTTP. When the server is away, who reads or writes waits for it, without end. Nobody vouches for what comes:
where the network is not trusted, the image needs dm-verity.`,
  options: [
    { name: 'read-only', help: 'refuse writes to the device' },
    {
      name: 'loop-ref',
      value: 'NAME',
      help: 'the name below /dev/disk/by-loop-ref/ (default: the name of the file; of a URL none)',
    },
    {
      name: 'root-link',
      value: 'LINK',
      completes: 'file',
      help: 'of a URL: make LINK a link to the root partition, told by its type, or to the device of a bare file system',
    },
    {
      name: 'dhcporigin',
      value: 'only|fallback',
      completes: ['only', 'fallback'],
      help: 'of nvme+tcp: the server is the one that DHCP names to boot from: in any case, or when the machine was not booted over HTTP',
    },
    {
      name: 'patience',
      value: 'SECONDS',
      help: 'of a URL: how long to go on when nobody answers; 0: try once (default: 300 in an initrd, 30 elsewhere)',
    },
    BOOT_SCREEN_OPTION,
  ],
  async run(line, context) {
    if (isNvmeUrl(line.operand)) {
      const { attachNvme } = await import('./attach-nvme.ts');
      await attachNvme(line, context);
      return;
    }
    requirePath('attach', line.operand, 'rdpull pull --blockdev URL downloads an image and attaches it');
    requireNoneOf(line, ['root-link', 'dhcporigin', 'patience', 'boot-screen']);
    const { reporter, signal } = context;
    const { attachImage } = await import('../expose/attach-image.ts');
    const { findLoopDevices } = await import('../expose/loop-search.ts');
    const loopRef = line.value('loop-ref');
    const image = path.resolve(line.operand);
    const others = findLoopDevices(image).map(({ device }) => device);
    if (others.length > 0) {
      reporter.warn(
        `${printable(image)} is attached to ${others.join(', ')} already; mount only one of its devices for writing`,
      );
    }
    const attached = await attachImage({
      path: image,
      readOnly: line.has('read-only'),
      warn: reporter.warn,
      signal,
      ...(loopRef !== undefined && { loopRef }),
    });
    reporter.result(deviceLines(attached), attached);
  },
};

/** @throws RdpullError bad-option */
function requireNoneOf(line: CommandLine, names: readonly string[]): void {
  const name = names.find((each) => line.has(each));
  if (name === undefined) return;
  throw new RdpullError(
    'bad-option',
    `--${name} is for a disk on a server, and ${printable(line.operand)} is a file`,
    'leave it out',
  );
}
