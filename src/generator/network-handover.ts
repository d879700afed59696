import { GENERATED } from './pull-unit.ts';
import { unitText } from './unit-text.ts';
import type { UnitTreeEntry } from './unit-tree.ts';

/**
 * Has the systemd-networkd of the initrd stopped before the switch to the real root, which starts its own. Its unit says so itself
 * (`Conflicts=initrd-switch-root.target`). But the root is wanted there, as it hangs on its pull the pull is, and so is the network that the pull wants;
 * where nobody insists, systemd before 258 rather starts than stops. It was killed in the end, and the real root took it for running: no lease was
 * renewed, and the address went with it.
 */
export function networkHandover(): UnitTreeEntry {
  return {
    precedence: 'normal',
    name: 'initrd-switch-root.target.d/50-rdpull-network.conf',
    content: unitText(
      [GENERATED, 'The real root starts its own.'],
      [{ name: 'Unit', settings: [['Conflicts', 'systemd-networkd.service']] }],
    ),
  };
}
