import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { size } from '../console/quantity.ts';
import { type ErrorCode, RdpullError } from '../console/rdpull-error.ts';
import type { PullRequest, Remote } from '../request/pull-request.ts';
import { isFileUrl } from '../request/url.ts';
import type { Findings } from './finding.ts';
import type { InitrdContent } from './initrd-content.ts';

const GENERATOR = 'etc/systemd/system-generators/systemd-import-generator';
/** What may bring up the network, and what it is called. */
const NETWORKS: readonly (readonly [program: string, name: string])[] = [
  ['systemd-networkd', 'systemd-networkd'],
  ['NetworkManager', 'NetworkManager'],
  ['nm-initrd-generator', 'NetworkManager'],
  ['connmand', 'ConnMan'],
  ['wickedd', 'wicked'],
  ['dhclient', "dracut's network-legacy"],
];
/** The links to a loop device and its partitions, which systemd makes itself since 257. */
const RULE = '60-rdpull-loop-ref.rules';
const NVME_RULE = '60-rdpull-nvme.rules';

/** The modules of the file systems that can be told by their first bytes, as far as they are usual. */
const FILE_SYSTEMS: ReadonlyMap<string, string> = new Map([
  ['ext2', 'ext4'],
  ['ext3', 'ext4'],
  ['ext4', 'ext4'],
  ['erofs', 'erofs'],
  ['squashfs', 'squashfs'],
  ['btrfs', 'btrfs'],
  ['xfs', 'xfs'],
]);

const AUTHORITIES: readonly [string, ...string[]] = [
  'etc/ssl/certs/ca-certificates.crt',
  'etc/pki/tls/certs/ca-bundle.crt',
  'etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  'etc/ssl/ca-bundle.pem',
  'etc/ssl/cert.pem',
];

/** The kernel of a UKI, and what its initrd is asked for. */
export interface BootedKernel {
  /** What `.uname` says; undefined when it says nothing. */
  readonly release: string | undefined;
}

/** Whether rdpull is there, and started. */
export function checkProgram(findings: Findings, initrd: InitrdContent): void {
  const { packed, unpacked } = initrd;
  const what = `${size(unpacked)} after decompression (${packed.join(' + ') || 'empty'})`;
  const generator = initrd.resolve(GENERATOR);
  const executable = initrd.resolve('usr/bin/rdpull') ?? initrd.named('rdpull')[0];
  if (executable === undefined || generator === undefined) {
    const missing = executable === undefined ? 'rdpull' : `/${GENERATOR}, the link to rdpull,`;
    const others = initrd.named('systemd-import-generator').some((each) => each !== GENERATOR);
    const consequence = others
      ? "systemd's own generator would do what it can in its place"
      : 'nothing would be pulled';
    findings.fail('initrd', missingInInitrd(missing, consequence));
    return;
  }
  findings.ok('initrd', `${what}, with /${printable(executable)} as the generator`);
}

/** The devices, links and the network that the pulls of an initrd need. */
export function checkSurroundings(
  findings: Findings,
  initrd: InitrdContent,
  requests: readonly PullRequest[],
  commandLine: string,
  { release }: BootedKernel,
): void {
  const isOnServer = requests.some(({ remote }) => remote.kind === 'nvme');
  const blockdev = requests.some((request) => request.blockdev && request.remote.kind !== 'nvme');
  if (isOnServer) {
    checkModule(findings, initrd, 'nvme-tcp', release);
    checkNvmeRule(findings, initrd);
  }
  if (blockdev) checkModule(findings, initrd, 'loop', release);
  if (requests.some(({ onDemand }) => onDemand !== undefined)) checkModule(findings, initrd, 'fuse', release);
  if (requests.some(({ overlay }) => overlay !== undefined))
    checkModule(findings, initrd, 'overlay', release);
  if (requests.some(({ ramDisk }) => ramDisk)) checkModule(findings, initrd, 'nd_pmem', release);
  if (requests.some(({ remote }) => asksBootOrigin(remote) && remote.dhcp !== 'only')) {
    checkModule(findings, initrd, 'efivarfs', release);
  }
  if (blockdev && commandLine.includes('by-loop-ref') && initrd.named(RULE).length === 0) {
    findings.warn(
      'initrd',
      `the udev rule ${RULE} is not in the initrd: before systemd 257 the partitions of a loop device have no links`,
      'build the initrd with the dracut module or the mkosi configuration of rdpull',
    );
  }
  if (requests.some(({ remote }) => remote.kind !== 'url' || !isFileUrl(remote.url))) {
    checkNetwork(findings, initrd);
  }
}

/** Whether it is what this machine was booted from that says where the image lies. */
function asksBootOrigin(remote: Remote): remote is Extract<Remote, { readonly kind: 'bootorigin' | 'nvme' }> {
  return remote.kind === 'bootorigin' || (remote.kind === 'nvme' && remote.url.host === undefined);
}

function checkNvmeRule(findings: Findings, initrd: InitrdContent): void {
  if (initrd.named(NVME_RULE).length > 0) return;
  findings.warn(
    'initrd',
    `the udev rule ${NVME_RULE} is not in the initrd: a disk on an NVMe server has no links in /dev/disk/by-loop-ref`,
    'build the initrd with the dracut module or the mkosi configuration of rdpull',
  );
}

/** The module for the file system of an image; ext2 and ext3 are ext4's as well. */
export function checkFileSystem(
  findings: Findings,
  initrd: InitrdContent,
  fileSystem: string,
  release: string | undefined,
): void {
  if (FILE_SYSTEMS.has(fileSystem))
    checkModule(findings, initrd, FILE_SYSTEMS.get(fileSystem) ?? '', release);
}

/** Of these a pull says so itself, by a code of its own. */
const MISSING: Readonly<Record<string, ErrorCode>> = { loop: 'loop-missing', 'nvme-tcp': 'nvme-missing' };

function checkModule(
  findings: Findings,
  initrd: InitrdContent,
  module: string,
  release: string | undefined,
): void {
  const kernel = release ?? (initrd.releases.length === 1 ? initrd.releases[0] : undefined);
  if (kernel === undefined) {
    findings.warn(
      'kernel',
      `whether the kernel has ${module} cannot be told: the UKI does not say which one it is`,
    );
    return;
  }
  const shown = printable(kernel);
  const has = initrd.hasModule(module, kernel);
  if (has === true) findings.ok('kernel', `Linux ${shown} has the module ${module}`);
  else if (has === undefined) {
    findings.warn(
      'kernel',
      `Linux ${shown}: the initrd has no module ${module} for it, nor a list of what is built in`,
      `if it is not built in, add it to the initrd: dracut --add-drivers ${module}`,
    );
  } else {
    const others = initrd.releases.filter((each) => each !== kernel).map(printable);
    const instead = others.length === 0 ? '' : `; it has modules for ${others.slice(0, 3).join(', ')}`;
    findings.fail(
      'kernel',
      new RdpullError(
        MISSING[module] ?? 'boot-incomplete',
        `Linux ${shown} has no module ${module} in the initrd, and none built in${instead}`,
        `build the initrd for this kernel, with dracut --add-drivers ${module} or KernelModules= of mkosi`,
      ),
    );
  }
}

function checkNetwork(findings: Findings, initrd: InitrdContent): void {
  const network = NETWORKS.find(([program]) => initrd.named(program).length > 0);
  if (network === undefined) {
    findings.fail(
      'network',
      missingInInitrd('a program that brings up the network', 'no server would be reached'),
    );
  } else {
    findings.ok('network', `${network[1]} is in the initrd`);
  }
}

function missingInInitrd(what: string, consequence: string): RdpullError {
  return new RdpullError(
    'boot-incomplete',
    `${what} is not in the initrd of the UKI: ${consequence}`,
    'build it with dracut --add rdpull, or with the mkosi configuration of rdpull; scripts/install comes first',
  );
}

/** The bundle that https servers are checked against, as it was unpacked below `root`; where it should be if there is none. */
export function authoritiesBelow(root: string): string {
  const [usual] = AUTHORITIES;
  return path.join(root, AUTHORITIES.find((name) => fs.existsSync(path.join(root, name))) ?? usual);
}
