import { printable, quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shellCommand } from '../console/shell-command.ts';
import { imageNameDefect } from '../request/image-name.ts';
import { OVERLAY_VALUES, parseRootOverlay, type RootOverlay } from '../request/root-overlay.ts';
import { overlayJson, overlayPlace, readOverlay } from '../status/overlay-status.ts';
import { askedBootScreen, BOOT_SCREEN_OPTION } from './boot-screen-option.ts';
import type { Command, CommandLine } from './command.ts';
import { requireRoot } from './exposure.ts';

/** Where an initrd has the root of the machine. */
const SYSROOT = '/sysroot';

export const overlay: Command = {
  name: 'overlay',
  operand: 'tmpfs|DEVICE',
  secondOperand: 'DIR',
  completes: ['tmpfs', 'LABEL=', 'UUID=', 'PARTLABEL=', 'PARTUUID=', '/dev/'],
  summary: 'make a mounted root writable: what is written goes to memory, or to a file system on DEVICE',
  description: `Mounts an overlay over what is mounted on DIR (${SYSROOT}), which stays as it is. What is written goes to memory (tmpfs), or to
the directory rdpull-overlay of the file system (ext4, xfs, btrfs or f2fs) on DEVICE, and is there again at the next
boot. DEVICE is LABEL=, UUID=, PARTLABEL=, PARTUUID= or a path; with ? behind it, memory will do where it cannot be used.

Nothing is formatted or removed. At boot overlay= in the expression does this; systemd waits for the device first.`,
  options: [
    {
      name: 'name',
      value: 'NAME',
      completes: [],
      help: 'of the image: on one device each has a layer of its own (default: root)',
    },
    BOOT_SCREEN_OPTION,
  ],
  async run(line, { reporter }) {
    const where = parsedOverlay(line.operand);
    const name = imageName(line);
    requireRoot('mounting');
    const { overlayRoot } = await import('../expose/overlay/overlay-root.ts');
    const screen = await askedBootScreen(line);
    const root = line.secondOperand === '' ? SYSROOT : line.secondOperand;
    try {
      const warn = (text: string) => {
        reporter.warn(text);
        screen?.warn(text);
      };
      overlayRoot(root, { where, name, warn });
      const made = readOverlay();
      if (made === undefined) throw new Error(`the overlay on ${root} is not in the list of mounts`);
      reporter.info(`${printable(made.mountPoint)} can be written to: ${overlayPlace(made)}`);
      reporter.result([], overlayJson(made));
    } catch (error) {
      screen?.failed(RdpullError.from(error), shellCommand(['rdpull', 'overlay', line.operand, root]));
      throw error;
    } finally {
      await screen?.close();
    }
  },
};

/** @throws RdpullError bad-argument */
function parsedOverlay(text: string): RootOverlay {
  const where = parseRootOverlay(text);
  if (where !== undefined) return where;
  throw new RdpullError('bad-argument', `${quoted(text)} is no place to write to`, `write ${OVERLAY_VALUES}`);
}

/** @throws RdpullError bad-image-name */
function imageName(line: CommandLine): string {
  const name = line.value('name') ?? 'root';
  const defect = imageNameDefect(name);
  if (defect === undefined) return name;
  throw new RdpullError('bad-image-name', `--name=${quoted(name)} ${defect}`, 'choose a plain file name');
}
