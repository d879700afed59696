import fs from 'node:fs';
import path from 'node:path';
import type { JournalEvent } from '../console/journal-events.ts';
import { printable } from '../console/printable.ts';
import { duration, size } from '../console/quantity.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import type { Reporter } from '../console/reporter.ts';
import { shownUrl } from '../console/shown-url.ts';
import type { Recorder } from '../record/recorder.ts';
import type { TransferRecord } from '../record/transfer-record.ts';
import { IMAGE_CLASSES, IMAGE_TYPES, imagePath } from '../request/image-class.ts';
import { inInitrd } from '../request/initrd.ts';
import { placeholdersIn } from '../request/placeholder.ts';
import { type PullRequest, resolveRequest } from '../request/pull-request.ts';
import { formatVerifyMode } from '../request/verify-mode.ts';
import { silenceWithin } from '../source/silence.ts';
import type { Promised } from '../transfer/promise.ts';
import type { TransferResult } from '../transfer/transfer.ts';
import type { Command, CommandContext, CommandLine } from './command.ts';
import {
  type Exposed,
  type Exposure,
  exposedJson,
  exposedLines,
  exposeImage,
  requireExposable,
  requireRoot,
} from './exposure.ts';
import type { KeptJson, PulledJson, SkippedJson } from './json-results.ts';
import { LIMIT_OPTION, limits } from './limit-arguments.ts';
import { MEMORY_OPTION, memory } from './memory-argument.ts';
import { imageRoot, patience, pullRequest, URL_BEGINNINGS, VERIFY_WORDS } from './pull-arguments.ts';
import { type Display, openDisplay } from './pull-display.ts';
import { findLocations } from './pull-url.ts';
import { SERVER_OPTIONS, serverAccess } from './server-access.ts';
import { connectServiceManager } from './service-manager.ts';
import { TRUST_OPTIONS, trusted } from './trust-arguments.ts';
import { vouched } from './vouched.ts';

export const pull: Command = {
  name: 'pull',
  operand: 'URL|EXPRESSION',
  completes: [...URL_BEGINNINGS, ...IMAGE_TYPES.map((type) => `${type},`)],
  summary: 'download an image, verify it, and attach it or mount it if asked to',
  description: `Downloads an image, checks it, and gives it its final name only when everything holds. A failure leaves
nothing behind. xz, zstd, gzip and bzip2 are unpacked on the way, whatever the file is called.

URL is http://, https:// or file:///. EXPRESSION is what stands behind rd.systemd.pull= on the kernel
command line, for example raw,machine,verify=no:root:http://example.com/root.raw.xz; options given
here override what it says.`,
  options: [
    {
      name: 'type',
      value: IMAGE_TYPES.join('|'),
      completes: IMAGE_TYPES,
      help: 'what the file is: a disk image, or a tarball of a root file system (default: by its name)',
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
    { name: 'read-only', help: 'write-protect the image, its loop device or its mount' },
    { name: 'blockdev', help: 'attach a raw image to a loop device, with its partitions' },
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
      help: 'how long to go on when no server brings anything new; 0: try once (default: 300 in an initrd, 30 elsewhere)',
    },
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
      name: 'boot-screen',
      help: 'show progress and failures on all consoles of the machine, unless standard error is a terminal',
    },
  ],
  async run(line, context) {
    using service = await connectServiceManager(context.reporter.detail);
    const { Recorder } = await import('../record/recorder.ts');
    const recorder = new Recorder(process.argv.slice(2), context.reporter.detail);
    await using display = await openDisplay(context.reporter, service, recorder, line.has('boot-screen'));
    try {
      display.succeeded(await pullImage(line, context, display, recorder));
    } catch (error) {
      recorder.failed(error, context.signal.aborted);
      if (!context.signal.aborted) display.failed(RdpullError.from(error));
      throw error;
    }
  },
};

/** @returns what became of it, in one line */
async function pullImage(
  line: CommandLine,
  { signal }: CommandContext,
  display: Display,
  recorder: Recorder,
): Promise<string> {
  const { reporter } = display;
  const begun = performance.now();
  const request = pullRequest(line, reporter.warn);
  const limited = limits(line);
  const allowedMemory = memory(line);
  const exposure = requestedExposure(line, request);
  const verify = formatVerifyMode(request.verify);
  const planned = plannedTarget(line, request);
  if (planned !== undefined) recorder.about(planned, verify);
  await requireExposable(exposure);
  if (request.type === 'tar') requireRoot('unpacking a root file system');

  const { ca, proxy, identity } = await serverAccess(line);
  const milliseconds = patience(line, inInitrd());
  const { warn } = reporter;
  const access = {
    ca,
    proxy,
    signal,
    warn,
    silence: silenceWithin(milliseconds),
    patience: { milliseconds, notify: display.notify },
    redirects: limited.redirects,
  };
  const locations = await findLocations(request, { ...access, identity, detail: reporter.detail });
  const [first] = locations;
  if (first === undefined) {
    const skipped =
      'this machine was not booted over HTTP (no boot URL in the EFI variables): nothing to pull';
    reporter.info(skipped, { event: 'nothing-to-pull' });
    recorder.ended('skipped', { note: skipped });
    reporter.result([], { skipped: 'no boot URL' } satisfies SkippedJson);
    return skipped;
  }
  if (request.verify.kind === 'no' && locations.some(({ url }) => url.startsWith('http:'))) {
    reporter.warn(
      'verify=no over plain http: whoever is on the network can put another image in place of this one',
    );
  }
  const target = targetPath(line, request, first.url);
  reporter.about({ url: shownUrl(first.url), target: printable(target) });
  recorder.about(target, verify, first.url);
  reporter.detail(
    `${locations.map(({ url }) => shownUrl(url)).join(', ')} will become ${target}, verify=${verify}`,
  );
  if (line.has('keep') && fs.existsSync(target)) {
    // A pull that was killed when its image had just got its name has left the rest behind.
    const { removeStaleStaging } = await import('../transfer/staging-directory.ts');
    removeStaleStaging(path.dirname(target), warn);
    const kept = `${printable(target)} exists already and is kept`;
    reporter.info(kept, { event: 'image-kept', target: printable(target) });
    const exposed = await exposeImage(target, exposure, { warn, signal });
    tellExposed(reporter, target, exposed);
    recorder.ended('kept', places(exposed));
    const json: KeptJson = { target, kept: true, ...exposedJson(exposed) };
    reporter.result([target, ...exposedLines(exposed)], json);
    return kept;
  }
  const [{ runTransfer }, { sideFilesOf }] = await Promise.all([
    import('../transfer/transfer.ts'),
    import('../expose/side-files.ts'),
  ]);
  let result: TransferResult;
  try {
    const { type, readOnly, overcommit } = request;
    result = await runTransfer(
      {
        locations,
        type,
        target,
        verify: request.verify,
        ...trusted(line),
        readOnly,
        force: line.has('force'),
        sideFiles: sideFilesOf,
        overcommit,
        limits: limited,
        memory: allowedMemory,
      },
      { ...access, login: undefined },
      display.observe(target),
    );
  } finally {
    display.end();
  }
  display.completed();
  const elapsed = Math.round(performance.now() - begun);
  const done = summary(result, elapsed);
  recorder.transferred(result);
  reporter.info(done, finishedEvent(result, elapsed));
  reporter.detail(`SHA-256 of what was received: ${result.sha256}`);

  const exposed = await exposeImage(target, exposure, { warn, signal }).catch((error) => {
    throw withCompleteImage(error, target);
  });
  tellExposed(reporter, target, exposed);
  recorder.ended('done', places(exposed));
  const { url, received, decoded, entries, compression, sha256, promised } = result;
  const json: PulledJson = {
    ...{ target, url, received, decoded, entries, compression, sha256, promised },
    milliseconds: elapsed,
    ...exposedJson(exposed),
  };
  reporter.result([target, ...exposedLines(exposed)], json);
  return done;
}

/** @throws RdpullError bad-option */
function requestedExposure(line: CommandLine, { blockdev, readOnly }: PullRequest): Exposure {
  if (line.has('root-link') && !blockdev) {
    throw new RdpullError(
      'bad-option',
      '--root-link=LINK needs a block device for the link to lead to',
      'add --blockdev',
    );
  }
  if (line.has('keep') && line.has('force')) {
    throw new RdpullError(
      'bad-option',
      '--keep and --force are opposites: what to do with an image that exists already',
      'leave out one of them',
    );
  }
  const absolute = (option: string) => {
    const given = line.value(option);
    return given === undefined ? undefined : path.resolve(given);
  };
  return { blockdev, bind: absolute('bind'), rootLink: absolute('root-link'), readOnly };
}

function targetPath(line: CommandLine, request: PullRequest, url: string): string {
  const { local, path: usual } = resolveRequest(request, url, inInitrd());
  const root = imageRoot(line);
  return root === undefined ? usual : imagePath(root, request.type, local);
}

/** The target, where it is known before any server has been asked: what goes wrong then is told of it. */
function plannedTarget(line: CommandLine, request: PullRequest): string | undefined {
  const { local, remote } = request;
  const url = remote.kind === 'url' && placeholdersIn(remote.url).size === 0 ? remote.url : undefined;
  return local === undefined && url === undefined ? undefined : targetPath(line, request, url ?? '');
}

function summary(
  { target, received, decoded, compression, promised }: TransferResult,
  milliseconds: number,
): string {
  const packed = compression === 'none' ? '' : ` of ${compression}`;
  return `${target}: ${size(received)}${packed} received, ${size(decoded)} written in ${duration(milliseconds)}, ${vouched(promised)}`;
}

/** What the journal has of a pull that came to its end. */
function finishedEvent(
  { url, target, received, decoded, sha256, promised }: TransferResult,
  milliseconds: number,
): JournalEvent {
  const manifestUrl = promised?.manifestUrl;
  const signer = promised?.signedBy;
  return {
    event: 'pull-finished',
    url: shownUrl(url),
    target: printable(target),
    received,
    written: decoded,
    milliseconds,
    sha256,
    verifiedBy: verifiedBy(promised),
    manifestUrl: manifestUrl === undefined ? undefined : shownUrl(manifestUrl),
    signedBy: signer?.fingerprint,
  };
}

function verifiedBy(promised: Promised | undefined): 'nothing' | 'sha256' | 'checksum' | 'signature' {
  if (promised === undefined) return 'nothing';
  if (promised.manifestUrl === undefined) return 'sha256';
  return promised.signedBy === undefined ? 'checksum' : 'signature';
}

/** Where an image is to be found, for the record. */
function places({ device, root, mount }: Exposed): Pick<TransferRecord, 'device' | 'root' | 'mount'> {
  return {
    ...(device !== undefined && { device: device.device }),
    ...(root !== undefined && { root }),
    ...(mount !== undefined && { mount }),
  };
}

/** The journal hears where an image was attached or mounted; a person sees it as the result. */
function tellExposed(reporter: Reporter, target: string, { device, root, mount }: Exposed): void {
  const where = device?.device ?? mount;
  if (where === undefined) return;
  const shown = printable(target);
  reporter.detail(`${shown} is ready at ${printable(where)}`, {
    event: 'image-exposed',
    target: shown,
    loop: device?.device,
    root,
    mount: mount === undefined ? undefined : printable(mount),
  });
}

/** The image is good and stays, so that nobody has to download it again. */
function withCompleteImage(error: unknown, target: string): RdpullError {
  const { code, message, hint } = RdpullError.from(error);
  return new RdpullError(code, message, `${hint}; the image itself is complete: ${target}`, {
    cause: error,
  });
}
