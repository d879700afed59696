import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { quotedUrl, shownUrl } from '../console/shown-url.ts';
import type { FoundNamespace, NamespaceRequest } from '../nvme/attach-namespace.ts';
import { Recorder } from '../record/recorder.ts';
import { Reports } from '../report/reports.ts';
import { imageDirectory } from '../request/image-class.ts';
import { inInitrd } from '../request/initrd.ts';
import { formatNvmeUrl, type NvmeUrl, parseNvmeUrl } from '../request/nvme-url.ts';
import type { DhcpUse } from '../request/pull-request.ts';
import { lastComponent } from '../request/url.ts';
import type { Patience } from '../source/source.ts';
import { askedBootScreen } from './boot-screen-option.ts';
import type { CommandContext, CommandLine } from './command.ts';
import { deviceLines } from './exposed.ts';
import { requireRoot } from './exposure.ts';
import type { AttachedNamespaceJson, SkippedJson } from './json-results.ts';
import { badValue, patience } from './pull-arguments.ts';
import { type Display, openDisplay } from './pull-display.ts';
import { findOrigin } from './pull-url.ts';
import { connectServiceManager } from './service-manager.ts';

/** What `rdpull attach` was asked for, all of it validated. */
interface AttachPlan {
  readonly url: NvmeUrl;
  readonly loopRef: string | undefined;
  readonly rootLink: string | undefined;
  readonly readOnly: boolean;
  readonly dhcp: DhcpUse | undefined;
  /** How long to go on when no server answers, in ms. */
  readonly patience: number;
}

const DHCP_USES: readonly DhcpUse[] = ['fallback', 'only'];

/**
 * Attaches a disk that stays on an NVMe server, and tells of it what a pull tells.
 *
 * @throws RdpullError
 */
export async function attachNvme(line: CommandLine, { reporter, signal }: CommandContext): Promise<void> {
  const plan = planAttach(line);
  requireRoot('connecting over NVMe');
  using service = await connectServiceManager(reporter.detail);
  const recorder = new Recorder(process.argv.slice(2), reporter.detail);
  const reports = new Reports(undefined);
  await using display = openDisplay({ reporter, service, recorder, reports }, await askedBootScreen(line));
  try {
    display.succeeded(await attach(plan, display, recorder, signal));
  } catch (error) {
    recorder.failed(error, signal.aborted);
    if (!signal.aborted) await display.failed(RdpullError.from(error));
    throw error;
  }
}

function planAttach(line: CommandLine): AttachPlan {
  const url = parseNvmeUrl(line.operand);
  if ('what' in url) throw new RdpullError('bad-url', `${quotedUrl(line.operand)} ${url.what}`, url.hint);
  const given = line.value('dhcporigin');
  const dhcp = DHCP_USES.find((each) => each === given);
  if (given !== undefined && dhcp === undefined) throw badValue('dhcporigin', given, DHCP_USES);
  if (dhcp !== undefined && url.host !== undefined) {
    throw new RdpullError(
      'bad-option',
      '--dhcporigin says who the server is, and the URL does so already',
      'leave it out',
    );
  }
  return {
    url,
    loopRef: line.value('loop-ref'),
    rootLink: line.value('root-link'),
    readOnly: line.has('read-only'),
    dhcp,
    patience: patience(line, inInitrd()),
  };
}

/** @returns what became of it, in one line */
async function attach(
  plan: AttachPlan,
  display: Display,
  recorder: Recorder,
  signal: AbortSignal,
): Promise<string> {
  const { reporter, notify } = display;
  const within: Patience = { milliseconds: plan.patience, notify };
  // What has no name has no record either.
  if (plan.loopRef !== undefined) {
    recorder.about(`${imageDirectory('machine', inInitrd())}/${plan.loopRef}`, 'no', formatNvmeUrl(plan.url));
  }
  const server = await serverOf(plan, { patience: within, signal, detail: reporter.detail });
  if (server === undefined) return skipped(display, recorder);
  reporter.warn(
    'nobody vouches for what comes over NVMe: whoever is on the network can put other blocks in place of these, unless dm-verity checks them',
  );
  const request = await requestFor(plan, server);
  const found = await attachPatiently(request, within, display, signal);
  return exposed(plan, found, display, recorder);
}

/** Who has the disk, and what it is called there. */
interface Server {
  readonly host: string;
  readonly names: readonly string[];
}

/** @returns undefined when that is the server of the UKI, and there is none */
async function serverOf(
  { url, loopRef, dhcp }: AttachPlan,
  options: {
    readonly patience: Patience;
    readonly signal: AbortSignal;
    readonly detail: (text: string) => void;
  },
): Promise<Server | undefined> {
  const own = loopRef === undefined ? [] : [loopRef.replace(/\.raw$/, '')];
  if (url.host !== undefined) return { host: url.host, names: own };
  const origin = await findOrigin(dhcp, {
    ...options,
    identity: { secrets: [], clientCertificate: undefined },
  });
  if (origin === undefined) return undefined;
  const { nvmeServer } = await import('../nvme/boot-server.ts');
  const file = origin.kind === 'directory' ? '' : (lastComponent(origin.url) ?? '');
  const stem = file.replace(/\.(?:efi|raw)(?:\.\w+)?$/i, '');
  return { host: nvmeServer(origin.url), names: [...(stem === '' ? [] : [stem]), ...own] };
}

async function requestFor(plan: AttachPlan, { host, names }: Server): Promise<NamespaceRequest> {
  const [{ hostIdentity }, { dhchapSecrets }] = await Promise.all([
    import('../nvme/host-identity.ts'),
    import('../nvme/secret.ts'),
  ]);
  const { url, loopRef, readOnly } = plan;
  const identity = hostIdentity();
  return {
    url: { ...url, host },
    names,
    loopRef,
    readOnly,
    host: { identity, secrets: dhchapSecrets(process.env) },
  };
}

/** Again for as long as nobody answers: the network, or the server, may come up at the same time as this machine. */
async function attachPatiently(
  request: NamespaceRequest,
  within: Patience,
  { reporter }: Display,
  signal: AbortSignal,
): Promise<FoundNamespace> {
  const [{ attachNamespace }, { patiently }] = await Promise.all([
    import('../nvme/attach-namespace.ts'),
    import('../source/patience.ts'),
  ]);
  const { warn, detail } = reporter;
  if (inInitrd()) await prepareRealRoot(warn);
  await provideTransport(warn);
  const url = formatNvmeUrl(request.url);
  return patiently(url, () => attachNamespace(request, { warn, detail, signal }), {
    patience: within,
    signal,
  });
}

/** In an initrd systemd has loaded it already, because the unit may not. Without it, the first attempt to connect is an error. */
async function provideTransport(warn: (text: string) => void): Promise<void> {
  const { loadKernelModule } = await import('../kernel/kernel-module.ts');
  try {
    loadKernelModule('nvme-tcp');
  } catch (error) {
    warn(`the module nvme-tcp was not loaded: ${reasonOf(error)}`);
  }
}

/** What the disk hangs on has to go on when the initrd is left: the network until the machine is off, and the links of udev. */
async function prepareRealRoot(warn: (text: string) => void): Promise<void> {
  const [{ keepNetwork }, { carryUdevRule }] = await Promise.all([
    import('../initramfs/kept-network.ts'),
    import('../nvme/udev-rule.ts'),
  ]);
  keepNetwork(warn);
  carryUdevRule(warn);
}

async function exposed(
  { rootLink }: AttachPlan,
  found: FoundNamespace,
  { reporter }: Display,
  recorder: Recorder,
): Promise<string> {
  const root = rootLink === undefined ? undefined : await linkRoot(rootLink, found);
  recorder.transferred({ url: found.url, received: 0, decoded: 0, sha256: undefined, promised: undefined });
  recorder.ended('done', { device: found.device, ...(root !== undefined && { root }) });
  reporter.detail(`${shownUrl(found.url)} is ready at ${found.device}`, {
    event: 'image-exposed',
    target: shownUrl(found.url),
    loop: found.device,
    root,
    mount: undefined,
  });
  const json: AttachedNamespaceJson = { ...found, ...(root !== undefined && { root }) };
  reporter.result([...deviceLines(found), ...(root === undefined ? [] : [`root: ${root}`])], json);
  return `${shownUrl(found.url)} is attached as ${found.device}${found.readOnly ? ', read-only' : ''}`;
}

/** Where there is no root, or no way to link to it, the disk does not stay. */
async function linkRoot(rootLink: string, found: FoundNamespace): Promise<string> {
  const { linkDevice, rootDevice } = await import('../expose/root-partition.ts');
  try {
    const root = rootDevice(found);
    linkDevice(rootLink, root);
    return root;
  } catch (error) {
    const { detachDisk } = await import('../nvme/detach-namespace.ts');
    await detachDisk(found.device, new AbortController().signal);
    throw error;
  }
}

/** There is nobody to ask, which is how a machine boots that was not booted over HTTP. */
function skipped({ reporter }: Display, recorder: Recorder): string {
  const text = 'this machine was not booted over HTTP (no boot URL in the EFI variables): nothing to attach';
  reporter.info(text, { event: 'nothing-to-pull' });
  recorder.ended('skipped', { note: text });
  reporter.result([], { skipped: 'no boot URL' } satisfies SkippedJson);
  return text;
}
