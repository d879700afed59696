import { printable, quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { isTree } from '../request/image-class.ts';
import { isPersistent, type PlannedPull } from './planned-pull.ts';
import { GENERATED } from './pull-unit.ts';
import { awaitedDevice, comesFrom, deviceUnit, mayComeFrom, ROOT_DISK } from './root-device.ts';
import { type OverlaidPull, overlayEntries } from './root-overlay-unit.ts';
import type { RootParameters } from './root-parameters.ts';
import { sysrootMount } from './sysroot-mount.ts';
import { settingDefect, unitText } from './unit-text.ts';
import { dependencyLink, type UnitTreeEntry } from './unit-tree.ts';

/** How the pulls of an initrd and the root file system come together. */
export interface RootPlan {
  /** The pulls, one of which may have become the root. */
  readonly pulls: readonly PlannedPull[];
  readonly entries: readonly UnitTreeEntry[];
}

/**
 * Decides which pull becomes /sysroot: the tree that `root=bind:` names, or without any `root=` the only machine
 * image. With another `root=`, and with rules for disk images that systemd alone can enforce, that is left to systemd,
 * and the device that it waits for is given the time that a pull takes.
 *
 * @param executable the path of this program
 * @param warn takes a line about what cannot be done
 */
export function planRoot(
  parameters: RootParameters,
  pulls: readonly PlannedPull[],
  executable: string,
  warn: (message: string) => void,
): RootPlan {
  const chosen = chooseRoot(parameters, pulls, warn);
  const overlaid = overlaidRoot(parameters, chosen, pulls, warn);
  const overlay = overlaid === undefined ? [] : overlayEntries(executable, overlaid);
  if (chosen === undefined)
    return { pulls, entries: [...deviceEntries(parameters, pulls, warn), ...overlay] };
  const root = asRoot(chosen);
  return {
    pulls: pulls.map((pull) => (pull === chosen ? root : pull)),
    entries: [...sysrootEntries(root, parameters, warn), ...overlay],
  };
}

/**
 * The pull over whose root an overlay is to lie: only over that of an image that asks for it, never over the root of a disk of this
 * machine, where `root=` leads there.
 */
function overlaidRoot(
  { root }: RootParameters,
  chosen: PlannedPull | undefined,
  pulls: readonly PlannedPull[],
  warn: (message: string) => void,
): OverlaidPull | undefined {
  const asking = pulls.filter(asksForOverlay);
  const isRoot = (pull: PlannedPull) =>
    chosen === undefined ? root !== undefined && mayComeFrom(root, pull) : pull === chosen;
  for (const pull of asking.filter((each) => !isRoot(each))) {
    warn(`overlay= of ${printable(pull.object.path)} is ignored: that does not become the root file system`);
  }
  return asking.find(isRoot);
}

const asksForOverlay = (pull: PlannedPull): pull is OverlaidPull => pull.request.overlay !== undefined;

function chooseRoot(
  { root, usr, hasVerity, imageRule }: RootParameters,
  pulls: readonly PlannedPull[],
  warn: (message: string) => void,
): PlannedPull | undefined {
  if (root?.startsWith('bind:')) {
    const path = root.slice('bind:'.length).replaceAll(/\/+/g, '/').replace(/\/$/, '');
    const named = pulls.find(({ request, object }) => isTree(request.type) && object.path === path);
    return named !== undefined && canBeRoot(named, warn) ? named : undefined;
  }
  if (root !== undefined || usr !== undefined || hasVerity) return undefined;

  const images = pulls.filter(({ request }) => request.imageClass === 'machine');
  const [only, ...others] = images;
  if (only === undefined) return undefined;
  if (imageRule !== undefined) {
    // What rdpull mounts is mounted without dm-verity, and without regard to any of this.
    warn(
      `${printable(only.object.path)} does not become the root file system: systemd alone obeys ${quoted(imageRule)}, ` +
        'and mounts nothing without root=; pull a signed image with raw,machine,blockdev and the local name ' +
        `${ROOT_DISK}, and say root=dissect (systemd 258 or later)`,
    );
    return undefined;
  }
  if (others.length === 0) return canBeRoot(only, warn) ? only : undefined;
  warn(
    `there is no root= on the kernel command line, and ${images.length} machine images are pulled: none of them ` +
      'becomes the root file system; name one with root=bind:/run/machines/NAME (tar) ' +
      'or root=/dev/disk/by-loop-ref/NAME.raw-partN (raw, with blockdev)',
  );
  return undefined;
}

function canBeRoot({ request, object }: PlannedPull, warn: (message: string) => void): boolean {
  const defect = isPersistent(object)
    ? 'is in the memory of the initrd, which is emptied on the way to the real root'
    : isTree(request.type)
      ? settingDefect(object.path)
      : undefined;
  if (defect === undefined) return true;
  warn(
    `${printable(object.path)} does not become the root file system: it ${defect}; ` +
      'leave out runtime=, and give it a plain local name',
  );
  return false;
}

/** Whatever else was asked for: a raw image needs a device to be mounted from. */
function asRoot(pull: PlannedPull): PlannedPull {
  const { request } = pull;
  return { ...pull, isRoot: true, request: { ...request, blockdev: !isTree(request.type) } };
}

/**
 * The mount of the root, in the early directory: systemd's own generators write theirs into the others at the same
 * time.
 */
function sysrootEntries(
  root: PlannedPull,
  parameters: RootParameters,
  warn: (message: string) => void,
): UnitTreeEntry[] {
  return [
    { precedence: 'early', name: 'sysroot.mount', content: sysrootMount(root, parameters, warn) },
    dependencyLink('early', 'initrd-root-fs.target.requires', 'sysroot.mount'),
    dependencyLink('early', 'initrd-usr-fs.target.requires', 'sysroot.mount'),
    // Of the same name as the drop-in with which systemd-gpt-auto-generator makes the boot wait for a root partition
    // on the disk that the boot loader came from, and so in place of it.
    {
      precedence: 'early',
      name: 'initrd-root-device.target.d/50-root-device.conf',
      content: unitText(
        [GENERATED, `No device is awaited: the root file system is the image of ${root.unit}.`],
        [],
      ),
    },
  ];
}

/**
 * Drop-ins for the devices that `root=` and `mount.usr=` wait for. A device's time-out of 90 seconds runs from when
 * everything that it is ordered after is done. Where it can come from nowhere but one image, it fails with its pull.
 */
function deviceEntries(
  { root, usr }: RootParameters,
  pulls: readonly PlannedPull[],
  warn: (message: string) => void,
): UnitTreeEntry[] {
  const attached = pulls.filter(({ request }) => request.blockdev);
  const entries = new Map<string, UnitTreeEntry>();
  for (const what of [root, usr]) {
    const device = what === undefined ? undefined : awaitedDevice(what);
    if (what === undefined || device === undefined || attached.length === 0) continue;
    try {
      const name = `${deviceUnit(device)}.d/40-rdpull.conf`;
      const origin = attached.find((pull) => comesFrom(device, what, pull));
      const after = origin === undefined ? attached : [origin];
      const content = unitText(
        [GENERATED, 'The time-out of the device starts when this is done.'],
        [
          {
            name: 'Unit',
            settings: [
              ...(origin === undefined ? [] : [['Requires', origin.unit] as const]),
              ...after.map(({ unit }) => ['After', unit] as const),
            ],
          },
        ],
      );
      entries.set(name, { precedence: 'normal', name, content });
    } catch (error) {
      const { message } = RdpullError.from(error);
      warn(`the time-out of the root device is not lifted: ${message}`);
    }
  }
  return [...entries.values()];
}
