import { shownUrl } from '../console/shown-url.ts';
import type { PullRequest, Remote } from '../request/pull-request.ts';
import { hostTrust, trustOf, withoutRoot } from './boot-trust.ts';
import { type Boot, readBoot } from './booted-system.ts';
import type { BootCheck } from './check-request.ts';
import { createFindings, type Finding, type Findings, found } from './finding.ts';
import { type CheckedPull, checkPull } from './pull-check.ts';
import { plan } from './pull-plan.ts';
import { checkOwnKernel } from './running-kernel.ts';
import { openScratchDirectory } from './scratch-directory.ts';
import { checkServedUki } from './server.ts';
import { checkProgram, checkSurroundings } from './uki-content.ts';

/** What was found, in the order of the boot, and what would be pulled. */
export interface CheckResult {
  readonly findings: readonly Finding[];
  readonly pulls: readonly CheckedPull[];
}

/**
 * Does what a boot would do as far as that changes nothing and downloads no image, and finds out what would come of it.
 *
 * @throws RdpullError internal, and of the usage family when there is nothing to check
 */
export async function checkBoot(check: BootCheck): Promise<CheckResult> {
  const findings = createFindings();
  const { signal } = check.access;
  const stage = check.subject.kind === 'uki' ? 'uki' : 'command line';
  const boot = await found(findings, stage, signal, () => readBoot(check.subject, findings));
  const pulls: CheckedPull[] = [];
  if (boot === undefined) return { findings: findings.all, pulls };
  // Only what a UKI holds has to lie somewhere to be used.
  using scratch =
    boot.uki?.initrd === undefined
      ? undefined
      : await found(findings, 'initrd', signal, () => openScratchDirectory(check.detail));
  const trust = await found(findings, 'initrd', signal, async () =>
    trustOf(check, boot, scratch?.path, findings),
  );
  if (trust === undefined || (boot.uki?.initrd !== undefined && scratch === undefined)) {
    return { findings: findings.all, pulls };
  }
  for (const inInitrd of [true, false]) {
    const planned = plan(boot, inInitrd, findings);
    if (planned.length === 0) continue;
    const requests = planned.map(({ request }) => request);
    if (inInitrd) checkNeeds(boot, requests, findings);
    else if (boot.uki !== undefined) {
      findings.warn(
        'unit',
        'systemd.pull= is for the host, which has keys of its own: checked with those of this machine',
      );
    }
    if (requests.some(({ ramDisk }) => ramDisk)) {
      findings.ok(
        'image',
        'ramdisk: what the firmware leaves in memory is looked for first, at boot; what follows is about the download',
      );
    }
    const [remote] = requests.flatMap(({ remote: each }) => (each.kind === 'bootorigin' ? [each] : []));
    if (remote !== undefined) await checkOrigin(check, boot, remote, findings);
    for (const pull of planned) {
      const others = pulls.reduce(
        (bytes, { target, uncompressed, size }) =>
          bytes + (target.startsWith('/run/') ? (uncompressed ?? size ?? 0) : 0),
        0,
      );
      pulls.push(await checkPull(check, boot, pull, inInitrd ? trust : hostTrust(check), others, findings));
    }
  }
  return { findings: findings.all.map((each) => withoutRoot(each, trust.root)), pulls };
}

/** What the initrd must hold beside the expressions. */
function checkNeeds({ commandLine, uki }: Boot, requests: readonly PullRequest[], findings: Findings): void {
  if (uki === undefined) {
    checkOwnKernel(findings, requests);
    return;
  }
  if (uki.initrd === undefined) return;
  checkProgram(findings, uki.initrd);
  checkSurroundings(findings, uki.initrd, requests, commandLine, uki);
}

type BootOriginRemote = Extract<Remote, { kind: 'bootorigin' }>;

/** Where the machine is booted from, for those that look beside it. */
async function checkOrigin(
  check: BootCheck,
  { uki }: Boot,
  remote: BootOriginRemote,
  findings: Findings,
): Promise<void> {
  const { access } = check;
  const bootUrl = check.bootUrlFor(remote);
  const word = remote.dhcp === 'only' ? 'dhcporigin' : 'bootorigin';
  if (bootUrl === undefined && remote.dhcp !== undefined) {
    findings.warn(
      'url',
      `${word}: what DHCP will say to the machine that boots is not known here; without a URL or a server in its lease the pull fails`,
      'say what it will be: --boot-url=http://HOST/image.efi; rdpull origin says what it is on this machine',
    );
    return;
  }
  if (bootUrl === undefined) {
    findings.warn(
      'url',
      'bootorigin: this machine was not booted over HTTP, so that the URL of the image is not known; a machine booted from a disk pulls nothing',
      'say where it will be booted from: --boot-url=http://HOST/image.efi',
    );
    return;
  }
  if (uki === undefined) {
    findings.ok('url', `${word}: booted from ${shownUrl(bootUrl)}`);
    return;
  }
  await found(findings, 'url', access.signal, async () =>
    checkServedUki(findings, await check.identify(bootUrl), uki.size, access),
  );
}
