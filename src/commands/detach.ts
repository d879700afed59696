import path from 'node:path';
import type { Command } from './command.ts';
import type { DetachedJson } from './json-results.ts';

export const detach: Command = {
  name: 'detach',
  operand: 'FILE|DEVICE',
  completes: 'loop-device',
  summary: 'detach the loop device of an image',
  description: `Detaches a loop device, named by itself (/dev/loop3) or by the image behind it. When an image is attached
more than once, the device with the highest number goes first.`,
  options: [],
  async run(line, { reporter, signal }) {
    const { detachLoopDevice } = await import('../expose/loop-detach.ts');
    const { removeLoopRefFile } = await import('../expose/loop-ref-file.ts');
    const { device, backingFile } = await detachLoopDevice(path.resolve(line.operand), { signal });
    removeLoopRefFile(backingFile);
    reporter.info(`${device} (${backingFile}) is detached`);
    reporter.result([], { device, backingFile } satisfies DetachedJson);
  },
};
