import path from 'node:path';
import { printable } from '../console/printable.ts';
import type { Command } from './command.ts';
import { deviceLines } from './exposed.ts';

export const attach: Command = {
  name: 'attach',
  operand: 'FILE',
  summary: 'attach a disk image to a loop device, and print the device and its partitions',
  description: `Attaches a raw image to a free loop device, with its partitions (GPT or MBR) or as one bare file system.
The device stays until rdpull detach, also after this program has ended.`,
  options: [
    { name: 'read-only', help: 'refuse writes to the device' },
    {
      name: 'loop-ref',
      value: 'NAME',
      help: 'the name below /dev/disk/by-loop-ref/ (default: the name of the file)',
    },
  ],
  async run(line, { reporter, signal }) {
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
