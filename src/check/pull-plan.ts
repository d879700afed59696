import { printable, quoted } from '../console/printable.ts';
import type { PlannedPull } from '../generator/planned-pull.ts';
import { awaitedDevice, comesFrom } from '../generator/root-device.ts';
import { rootParameters } from '../generator/root-parameters.ts';
import { type GeneratorInput, planPulls } from '../generator/unit-plan.ts';
import { isTree } from '../request/image-class.ts';
import type { Boot } from './booted-system.ts';
import type { Findings } from './finding.ts';

/** The pulls of the initrd, or of the host; and what becomes the root file system. */
export function plan(
  { commandLine, credential }: Boot,
  inInitrd: boolean,
  findings: Findings,
): readonly PlannedPull[] {
  const input: GeneratorInput = {
    commandLine,
    // The host reads it as well, and finds what the initrd has pulled.
    credential: inInitrd ? credential : undefined,
    inInitrd,
    executable: '/usr/bin/rdpull',
    exists: () => false,
    lacksBootUrl: false,
  };
  const { pulls } = planPulls(input, (text, refusal) => {
    if (refusal === undefined) findings.warn('command line', text);
    else findings.fail('expression', refusal);
  });
  for (const pull of pulls) {
    const { request, object, unit, isRoot } = pull;
    const attached = request.remote.kind === 'nvme' ? ', attached over NVMe' : ', attached to a loop device';
    const use = isRoot ? ', the root file system' : request.blockdev ? attached : '';
    findings.ok('unit', `${unit}: ${printable(object.path)} (${request.type}, ${request.imageClass}${use})`);
  }
  if (inInitrd && pulls.length > 0) sayRoot(commandLine, pulls, findings);
  return pulls;
}

function sayRoot(commandLine: string, pulls: readonly PlannedPull[], findings: Findings): void {
  const { root } = rootParameters(commandLine);
  const mounted = pulls.find(({ isRoot }) => isRoot);
  if (mounted !== undefined) {
    const how = isTree(mounted.request.type)
      ? `the tree ${printable(mounted.object.path)} is bind-mounted on /sysroot`
      : `the root partition of ${printable(mounted.object.path)}, or all of a bare file system, is mounted on /sysroot`;
    findings.ok('root', how);
    return;
  }
  if (root === undefined) {
    const hasMachine = pulls.some(({ request }) => request.imageClass === 'machine');
    if (hasMachine)
      findings.warn('root', 'none of the images becomes the root file system', 'see root= in rdpull.pull(7)');
    else
      findings.ok(
        'root',
        'no image is for the root file system: systemd finds it as it would without rdpull',
      );
    return;
  }
  const device = awaitedDevice(root);
  const origin = device === undefined ? undefined : pulls.find((pull) => comesFrom(device, root, pull));
  if (origin !== undefined) {
    findings.ok('root', `root=${printable(root)} comes out of ${printable(origin.object.path)}`);
  } else if (device !== undefined && pulls.some(({ request }) => request.blockdev)) {
    findings.warn(
      'root',
      `root=${quoted(root)} is awaited: whether it is in one of the images cannot be told beforehand`,
    );
  } else {
    findings.warn(
      'root',
      `root=${quoted(root)} comes out of none of the images`,
      'leave it out, or name the image: root=bind:/run/machines/NAME',
    );
  }
}
