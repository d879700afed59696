import { printable } from '../console/printable.ts';
import { formatRootOverlay, type RootOverlay } from '../request/root-overlay.ts';
import { escapeSpecifiers } from '../request/unit-name.ts';
import { type BoundedWait, boundedWait } from './bounded-wait.ts';
import type { PlannedPull } from './planned-pull.ts';
import { GENERATED } from './pull-unit.ts';
import { deviceUnit } from './root-device.ts';
import { quoteArgument, unitText } from './unit-text.ts';
import { dependencyLink, type UnitTreeEntry } from './unit-tree.ts';

/** A pull whose root gets an overlay. */
export interface OverlaidPull extends PlannedPull {
  readonly request: PlannedPull['request'] & { readonly overlay: RootOverlay };
}

const UNIT = 'rdpull-overlay.service';

/** How long a device is waited for without which the boot can go on, in seconds; for others systemd's own time holds. */
const OPTIONAL_WAIT = 30;

/**
 * The service that puts an overlay over the root as soon as that is mounted, and before anybody uses it. It waits for the device and its
 * check by systemd, and begins whatever becomes of them: it is rdpull that says what is wrong, and what to try.
 */
export function overlayEntries(executable: string, pull: OverlaidPull): UnitTreeEntry[] {
  const { overlay } = pull.request;
  const device = overlay.kind === 'device' ? deviceUnit(overlay.path) : undefined;
  const check = device === undefined ? undefined : `systemd-fsck@${device.replace(/\.device$/, '.service')}`;
  const awaited = [device, check].filter((unit) => unit !== undefined);
  const where = formatRootOverlay(overlay);
  const unit: (readonly [string, string])[] = [
    ['Description', escapeSpecifiers(`Overlay of the Root File System (${printable(where)})`)],
    ['Documentation', 'man:rdpull(1)'],
    ['SourcePath', escapeSpecifiers(pull.source.path)],
    ['DefaultDependencies', 'no'],
    ['Requires', 'sysroot.mount'],
    ...(awaited.length === 0 ? [] : [['Wants', awaited.join(' ')] as const]),
    ['After', ['sysroot.mount', ...awaited].join(' ')],
    // What is mounted below the root, and what systemd puts over it, comes on top.
    ['Before', 'initrd-root-fs.target sysroot-usr.mount systemd-volatile-root.service'],
    ['IgnoreOnIsolate', 'yes'],
  ];
  const args = ['overlay', '--boot-screen', `--name=${pull.object.local}`, where, '/sysroot'];
  const service: (readonly [string, string])[] = [
    ['Type', 'oneshot'],
    ['RemainAfterExit', 'yes'],
    ['ExecStart', [`:${executable}`, ...args].map(quoteArgument).join(' ')],
    ['StandardOutput', 'journal'],
    ['StandardError', 'journal'],
    ['SyslogIdentifier', 'rdpull'],
    ['NoNewPrivileges', 'yes'],
    ['RestrictAddressFamilies', 'AF_UNIX'],
    ['SystemCallArchitectures', 'native'],
  ];
  return [
    {
      precedence: 'normal',
      name: UNIT,
      content: unitText(
        [GENERATED],
        [
          { name: 'Unit', settings: unit },
          { name: 'Service', settings: service },
        ],
      ),
    },
    dependencyLink('normal', 'initrd-root-fs.target.requires', UNIT),
    ...(overlay.kind === 'device' && overlay.isOptional ? [boundedWait(waitFor(overlay.path))] : []),
  ];
}

function waitFor(device: string): BoundedWait {
  const consequence = 'Without it the overlay is in memory.';
  return { device, name: '50-rdpull-overlay', consequence, seconds: OPTIONAL_WAIT };
}
