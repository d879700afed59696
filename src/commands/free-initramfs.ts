import { printable } from '../console/printable.ts';
import { size } from '../console/quantity.ts';
import { reasonOf } from '../console/rdpull-error.ts';
import type { Command } from './command.ts';
import type { FreedJson } from './json-results.ts';

export const freeInitramfs: Command = {
  name: 'free-initramfs',
  operand: 'UNIT',
  operandIsOptional: true,
  completes: 'file',
  summary: 'give back the memory of the initramfs, once the machine has left it for its real root',
  description: `Waits in an initrd until PID 1 has left it for the real root and the machine has come up there, and then removes the files
of the initramfs: since Linux 7.0 nobody else does, and they stay in memory for ever. It never crosses a mount. It removes nothing when the initrd is not in
RAM, or when the machine has kept it: something of it is mounted in the real root.

rdpull-free-initramfs.service runs it at each boot, and rd.rdpull.free_initramfs=no on the kernel command line turns it off. UNIT is
the file of that unit: it is copied to /run/systemd/system, where the service manager of the real root finds it, and so
lets it run on.`,
  options: [],
  async run(line, { reporter, signal }) {
    const [{ inInitrd }, { OldRoot }, { carryUnit }, { connectServiceManager }] = await Promise.all([
      import('../request/initrd.ts'),
      import('../initramfs/old-root.ts'),
      import('../initramfs/carried-unit.ts'),
      import('./service-manager.ts'),
    ]);
    const end = (text: string, done: Partial<FreedJson> = {}) => {
      reporter.info(text);
      const { files = 0, bytes = 0, left = 0 } = done;
      reporter.result([], { files, bytes, left } satisfies FreedJson);
    };
    using manager = await connectServiceManager(reporter.detail);
    using root = inInitrd() ? OldRoot.open() : undefined;
    if (root?.isInRam !== true) {
      manager.ready('there is nothing to do');
      end('this is no initrd in RAM: there is nothing to give back');
      return;
    }
    try {
      if (line.operand !== '') carryUnit(line.operand);
    } catch (error) {
      reporter.warn(`${printable(line.operand)} is not carried over: ${reasonOf(error)}`);
    }
    manager.ready('waiting until PID 1 has left the initrd');
    if (!(await root.left(signal))) {
      end('PID 1 has not left the initrd: all is as it was');
      return;
    }
    // On an emulated processor the pages that are given back cost whoever gets them next so much that the generators did not end in the 90 s
    // that they have, and nothing was started at all.
    manager.ready('waiting until the real root has come up');
    await manager.listens(signal);
    await root.lull(signal);
    const [kept] = root.keptAt();
    if (kept !== undefined) {
      end(`the initrd is kept: it is mounted on ${printable(kept)}`);
      return;
    }
    const emptied = root.empty();
    if (emptied.files + emptied.left === 0) {
      end('the initrd has nothing left to give back: systemd has emptied it');
      return;
    }
    const rest = emptied.left === 0 ? '' : `; ${emptied.left} could not be removed`;
    end(`the initrd has given back ${size(emptied.bytes)}, in ${emptied.files} files${rest}`, emptied);
  },
};
