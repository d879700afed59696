import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { unitOfThisProcess } from '../record/own-unit.ts';
import { type ReportPlace, writeReportPlace } from '../report/report-place.ts';
import { IMAGE_CLASSES, IMAGE_TYPES } from '../request/image-class.ts';
import { inInitrd } from '../request/initrd.ts';
import { ON_DEMAND_WORDS } from '../request/on-demand.ts';
import { askedBootScreen, BOOT_SCREEN_OPTION } from './boot-screen-option.ts';
import { CACHE_OPTIONS } from './cache-arguments.ts';
import type { Command } from './command.ts';
import { LIMIT_OPTION } from './limit-arguments.ts';
import { MEMORY_OPTION } from './memory-argument.ts';
import { URL_BEGINNINGS, VERIFY_WORDS } from './pull-arguments.ts';
import { openDisplay } from './pull-display.ts';
import { pullImage } from './pull-image.ts';
import { SERVER_OPTIONS } from './server-access.ts';
import { connectServiceManager } from './service-manager.ts';
import { TRUST_OPTIONS } from './trust-arguments.ts';

export const pull: Command = {
  name: 'pull',
  operand: 'URL|EXPRESSION',
  completes: [...URL_BEGINNINGS, ...IMAGE_TYPES.map((type) => `${type},`)],
  summary: 'download an image, verify it, and attach it or mount it if asked to',
  description: `Downloads an image, checks it, and gives it its final name only when everything holds. A failure leaves
nothing behind. xz, zstd, gzip and bzip2 are unpacked on the way, and a qcow2 image becomes a raw one,
whatever the file is called.

URL is http://, https:// or file:///. EXPRESSION is what stands behind rd.systemd.pull= on the kernel
command line, for example raw,machine,verify=no:root:http://example.com/root.raw.xz; options given
here override what it says. With --type=oci the URL is the reference of a container image in a
registry, REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:HEX; what vouches for one is the digest alone.`,
  options: [
    {
      name: 'type',
      value: IMAGE_TYPES.join('|'),
      completes: IMAGE_TYPES,
      help: 'what it is: a disk image, a tarball of a root file system (default: by the name of the file), or a container image in a registry',
    },
    {
      name: 'class',
      value: 'CLASS',
      completes: IMAGE_CLASSES,
      help: 'what it is for, which decides the directory: machine (default), portable, sysext or confext',
    },
    {
      name: 'local',
      value: 'NAME',
      help: 'the name to store it under (default: the name of the file, without suffixes)',
    },
    {
      name: 'image-root',
      value: 'DIR',
      help: 'the directory to store it in (default: /run/machines and its like in an initrd, /var/lib/machines elsewhere)',
    },
    {
      name: 'verify',
      value: 'MODE',
      completes: VERIFY_WORDS,
      help: 'what has to vouch for it: signature (default; "yes" is the same): a signed checksum file must list it; checksum: a checksum file must list it; sha256:HEX: it must have this digest; no',
    },
    ...TRUST_OPTIONS,
    ...SERVER_OPTIONS,
    {
      name: 'mirror',
      value: 'URL',
      completes: URL_BEGINNINGS,
      repeatable: true,
      help: 'where the same file lies as well: asked when the server before it fails',
    },
    {
      name: 'store',
      value: 'URL',
      completes: URL_BEGINNINGS,
      repeatable: true,
      help: 'where the chunks of an image lie whose URL ends in .caibx, each store asked for what the one before it lacks (default: default.castr beside the index)',
    },
    { name: 'read-only', help: 'write-protect the image, its loop device or its mount' },
    { name: 'blockdev', help: 'attach a raw image to a loop device, with its partitions' },
    {
      name: 'on-demand',
      value: 'require',
      completes: ON_DEMAND_WORDS,
      valueIsOptional: true,
      help: 'attach a disk image at once, read-only, and fetch what is read of it before the rest; where that cannot be, download it first, or with "require" fail (implies --blockdev and --read-only)',
    },
    {
      name: 'fill',
      value: 'RATE',
      completes: ['no', 'yes'],
      help: 'with --on-demand: how fast to fetch what nobody has read yet, in bytes a second, which may end in K, M or G; no: not at all (default: yes, as fast as it comes)',
    },
    {
      name: 'ramdisk',
      help: 'use the image that the firmware has left in memory (/dev/pmemN), when it is the right one, and download it when there is none (implies --blockdev and --read-only)',
    },
    {
      name: 'bind',
      value: 'DIR',
      help: 'bind-mount an unpacked tarball on DIR, with setuid programs and devices allowed',
    },
    {
      name: 'root-link',
      value: 'LINK',
      completes: 'file',
      help: 'make LINK a link to the root partition, told by its type, or to the device of a bare file system (with --blockdev)',
    },
    {
      name: 'patience',
      value: 'SECONDS',
      help: 'how long to go on when no server brings anything new; 0: try once (default: 300 in an initrd, 30 elsewhere; 60 at most with an image that worked in the cache)',
    },
    ...CACHE_OPTIONS,
    LIMIT_OPTION,
    MEMORY_OPTION,
    {
      name: 'overcommit',
      help: 'begin even when the image is larger than its file system has room for: when it is mostly holes',
    },
    { name: 'force', help: 'replace an image that exists already' },
    {
      name: 'keep',
      help: 'when the image exists already, download nothing, and attach or mount what is there',
    },
    {
      name: 'no-report',
      help: 'do not tell the server how the pull fares, also if it asks for that, as rdpull serve does',
    },
    BOOT_SCREEN_OPTION,
  ],
  async run(line, context) {
    using service = await connectServiceManager(context.reporter.detail);
    const { Recorder } = await import('../record/recorder.ts');
    const recorder = new Recorder(process.argv.slice(2), context.reporter.detail);
    const { Reports } = await import('../report/reports.ts');
    const reports = new Reports(isOfBoot() ? noteReportPlace(context.reporter.detail) : undefined);
    const { reporter } = context;
    await using display = openDisplay({ reporter, service, recorder, reports }, await askedBootScreen(line));
    try {
      display.succeeded(await pullImage(line, context, display, recorder, reports));
    } catch (error) {
      recorder.failed(error, context.signal.aborted);
      if (context.signal.aborted) reports.interrupted();
      else await display.failed(RdpullError.from(error));
      throw error;
    }
  },
};

/** Whether the machine is about to boot what is pulled here. */
const isOfBoot = () => inInitrd() && unitOfThisProcess() !== undefined;

/** For rdpull-report-root.service. Without the note nobody is told of the switch to the root, and all else is as it should be. */
function noteReportPlace(detail: (text: string) => void): (place: ReportPlace) => void {
  return (place) => {
    try {
      writeReportPlace(place);
    } catch (error) {
      detail(`nobody will be told of the switch to the root: ${reasonOf(error)}`);
    }
  };
}
