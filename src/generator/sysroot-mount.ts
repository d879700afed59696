import { printable, quoted } from '../console/printable.ts';
import { isTree } from '../request/image-class.ts';
import { escapeSpecifiers } from '../request/unit-name.ts';
import { type PlannedPull, ROOT_LINK } from './planned-pull.ts';
import { GENERATED } from './pull-unit.ts';
import type { RootParameters } from './root-parameters.ts';
import { settingDefect, unitText } from './unit-text.ts';

/**
 * Options of a bind mount that undo how /run is mounted: nosuid, nodev, perhaps noexec. mount(8) before 2.39 ignores
 * suid, dev and exec unless an option comes along that sets something: relatime, which is the default anyway.
 */
const TREE_OPTIONS = ['suid', 'dev', 'exec', 'relatime'];

function whatIsReadOnly({ remote, onDemand }: PlannedPull['request']): string {
  if (remote.kind === 'nvme') return 'attached with ro';
  return onDemand === undefined ? 'left in memory by the firmware' : 'read on demand';
}

/**
 * The sysroot.mount that mounts what a pull has made: the tree, or the root partition of a raw image.
 *
 * @param warn takes a line about each parameter that is ignored
 */
export function sysrootMount(
  pull: PlannedPull,
  parameters: RootParameters,
  warn: (message: string) => void,
): string {
  const { type } = pull.request;
  const isBound = isTree(type);
  const { onDemand, ramDisk } = pull.request;
  const isOnServer = pull.request.remote.kind === 'nvme';
  const isReadOnly = onDemand !== undefined || ramDisk || (isOnServer && pull.request.readOnly);
  // What an overlay lies over is not written to.
  const isLower = pull.request.overlay !== undefined;
  if (isReadOnly && !isLower && parameters.writable === true)
    warn(`rw is ignored: what is ${whatIsReadOnly(pull.request)} cannot be written to`);
  const writable = !isReadOnly && !isLower && (parameters.writable ?? isBound);
  const options = [
    ...(isBound ? ['bind'] : []),
    writable ? 'rw' : 'ro',
    // systemd.mount(5): it hangs on the network.
    ...(isOnServer ? ['_netdev'] : []),
    ...(isBound ? TREE_OPTIONS : []),
    ...parameters.flags.filter((flags) => {
      const defect = settingDefect(flags);
      if (defect !== undefined) warn(`rootflags=${quoted(flags)} is ignored: it ${defect}`);
      return defect === undefined;
    }),
  ];
  const mount: [string, string][] = [
    ['What', isBound ? escapeSpecifiers(pull.object.path) : ROOT_LINK],
    ['Where', '/sysroot'],
  ];
  const { fileSystem } = parameters;
  if (fileSystem !== undefined && !isBound) {
    if (/^[A-Za-z0-9._-]+$/.test(fileSystem)) mount.push(['Type', fileSystem]);
    else warn(`rootfstype=${quoted(fileSystem)} is ignored: it is no file system's name`);
  }
  mount.push(['Options', escapeSpecifiers(options.join(','))]);
  const unit: [string, string][] = [
    ['Description', escapeSpecifiers(`Root File System (image ${printable(pull.object.local)}, ${type})`)],
    ['Documentation', 'man:rdpull(1)'],
    ['SourcePath', escapeSpecifiers(pull.source.path)],
    ['Requires', pull.unit],
    ['After', `${pull.unit} imports.target`],
    ['Before', 'initrd-root-fs.target'],
  ];
  return unitText(
    [GENERATED],
    [
      { name: 'Unit', settings: unit },
      { name: 'Mount', settings: mount },
    ],
  );
}
