import fs from 'node:fs';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import type { Reporter } from '../console/reporter.ts';
import { statAt } from '../kernel/path-lookup.ts';
import type { KernelTarget } from '../serve/nvme/kernel-target.ts';
import type { NvmeExports } from '../serve/nvme/nvme-exports.ts';
import type { ExportMode } from '../serve/nvme/raw-images.ts';
import type { SecretFiles, Site } from '../serve/site.ts';
import type { RunningServer } from '../serve/web-server.ts';
import type { Command, CommandLine } from './command.ts';
import type { ServingJson, TakenBackJson } from './json-results.ts';

/** What `mkosi serve` listens on as well. */
const DEFAULT_PORT = '8081';

/** Of a terminal that does not say how high it is, in rows. */
const USUAL_HEIGHT = 24;

const PORT_MAX = 65_535;

const EXPORT_MODES = ['ro', 'rw'] as const;

export const serve: Command = {
  name: 'serve',
  operand: 'DIRECTORY',
  operandIsOptional: true,
  summary: 'serve the UKI and the image that were built, to machines that are to boot them',
  description: `Serves DIRECTORY (default: this one) over HTTP until it is stopped, and shows which machine fetches what. Ranges and
entity tags are answered, so that a download that broke off goes on. A file that gives its name to a new one is sent to its
end; one that is written to while it is sent is cut.

Machines that pull from here tell how they fare, unless they are told not to (--no-report): a row for each that pulls, and a line for
what it has come to, or why it failed. A browser shows the same at /, live, with the last boots; tools get the list of files there.
What machines say is a claim, and decides nothing.

SHA256SUMS is made for what is there at that moment, unless somebody has put one there; with --sign=, SHA256SUMS.gpg as well. At
the start the URLs are printed, the line that tells the firmware of the UKI, and which image the UKI will pull. Hidden files
are not served, nor private keys, nor what symbolic links lead to outside of DIRECTORY. Everybody who reaches this machine can
read the rest.

With --nvme the raw images of DIRECTORY, and of the directories in it, are exported over NVMe/TCP as well, at port 4420: a machine that
has one as its root downloads nothing, and reads what it needs. The kernel does that, with its modules nvmet and nvmet-tcp. Each image
is a subsystem whose name ends in its path; one that is compressed is not exported. Read-only, the kernel refuses each write. With
--nvme=rw what a machine writes stays in the image, and an image has one machine at a time. An image that is replaced stays what
it was as long as a machine is connected. At the end all is taken back: machines that still have it wait until it is served again.

SIGINT, SIGTERM and SIGHUP end it at once, with exit status 0: what is being sent then is cut.`,
  options: [
    {
      name: 'port',
      value: 'NUMBER',
      help: `the port to listen on; 0: any that is free (default: ${DEFAULT_PORT})`,
    },
    {
      name: 'address',
      value: 'ADDRESS',
      help: 'listen on this address of the machine only (default: on all)',
    },
    {
      name: 'sign',
      value: 'FILE',
      help: 'sign SHA256SUMS with the OpenPGP secret key in FILE, as gpg --export-secret-keys writes it',
    },
    { name: 'passphrase', value: 'FILE', help: 'the passphrase of that key is the first line of FILE' },
    {
      name: 'nvme',
      value: 'MODE',
      valueIsOptional: true,
      completes: EXPORT_MODES,
      help: 'export the raw images over NVMe/TCP as well: ro (default), or rw, writable, each to one machine at a time; needs root',
    },
    {
      name: 'take-back',
      help: 'serve nothing: wait until no rdpull exports over NVMe, and take back what the last one has left; serve --nvme starts that itself, for when it is killed',
    },
  ],
  async run(line, { reporter, signal }) {
    if (line.has('take-back')) return await takeBack(line, reporter, signal);
    const directory = servedDirectory(line.operand);
    const place = { address: await givenAddress(line), port: givenPort(line) };
    const secret = secretFiles(line);
    const mode = givenMode(line);
    using target = mode && (await openKernelTarget(reporter));
    const { createSite } = await import('../serve/site.ts');
    using site = await createSite(directory, secret, {
      progress: reporter.progressOutput,
      height: () => process.stderr.rows || USUAL_HEIGHT,
      ...reporter.unbounded,
      request: (each) => reporter.options.json && reporter.result([], each),
      report: (each) => reporter.options.json && reporter.result([], each),
    });
    const { startServer } = await import('../serve/web-server.ts');
    await using server = await startServer(site, place);
    await using exports = target && (await startExports(target, site, mode, server.address));
    await tellServing(site, server, exports, reporter);
    lookAtFiles(site);
    if (!signal.aborted) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    }
  },
};

/** @throws RdpullError bad-option, bad-argument, not-root; the reason of `signal` */
async function takeBack(line: CommandLine, reporter: Reporter, signal: AbortSignal): Promise<void> {
  requireAlone(line);
  const [{ takeBackAfter }, { requireRoot }] = await Promise.all([
    import('../serve/nvme/kernel-target.ts'),
    import('./exposure.ts'),
  ]);
  requireRoot('taking exports back');
  const takenBack = await takeBackAfter(signal, reporter.warn);
  if (takenBack) reporter.info('what an rdpull has exported over NVMe that was killed is taken back');
  reporter.result([], { takenBack } satisfies TakenBackJson);
}

/** @throws RdpullError bad-option, bad-argument */
function requireAlone(line: CommandLine): void {
  const other = serve.options.find(({ name }) => name !== 'take-back' && line.has(name));
  if (other !== undefined)
    throw new RdpullError(
      'bad-option',
      `--take-back serves nothing, so that --${other.name} has no meaning`,
      'leave one of them out',
    );
  if (line.operand !== '')
    throw new RdpullError(
      'bad-argument',
      `--take-back serves nothing, and was given ${printable(line.operand)}`,
      'leave it out',
    );
}

/** @throws RdpullError bad-option */
function secretFiles(line: CommandLine): SecretFiles {
  const passphrase = line.value('passphrase');
  const key = line.value('sign');
  if (passphrase === undefined || key !== undefined) return { key, passphrase };
  throw new RdpullError(
    'bad-option',
    '--passphrase=FILE is for a secret key, and none was given',
    'add --sign=FILE',
  );
}

/** @throws RdpullError not-root, nvme-target-missing, target-busy */
async function openKernelTarget(reporter: Reporter): Promise<KernelTarget> {
  const { KernelTarget } = await import('../serve/nvme/kernel-target.ts');
  return await KernelTarget.open((text) => reporter.warn(text));
}

/** @throws RdpullError nvme-target-failed, target-busy, loop-missing, loop-failed */
async function startExports(
  target: KernelTarget,
  site: Site,
  mode: ExportMode,
  address: string,
): Promise<NvmeExports> {
  const { NvmeExports } = await import('../serve/nvme/nvme-exports.ts');
  const exports = await NvmeExports.start(target, site.directory, mode, address, site);
  site.news.exporting(() => exports.exports);
  return exports;
}

/** Says where what is served is found, and what it will do. */
async function tellServing(
  site: Site,
  { address, port }: RunningServer,
  exports: NvmeExports | undefined,
  reporter: Reporter,
): Promise<void> {
  const { announce, announcementLines } = await import('../serve/announcement.ts');
  const { exportLines, exportsJson } = await import('../serve/nvme/nvme-announcement.ts');
  const { directory, lists } = site;
  const exported = exports?.exports.map(({ path }) => path);
  const announcement = announce(directory, address, port, exported);
  const served = { directory: directory.directory, address, port };
  const serving: ServingJson = {
    event: 'serving',
    directory: fs.realpathSync(directory.directory),
    urls: announcement.urls,
    ukis: announcement.ukis.map(({ url, images }) => ({
      url,
      images: images.map(({ urls, pulled }) => ({ urls, pulled: pulled ?? null })),
    })),
    nvme: exports === undefined ? null : exportsJson(exports, address),
  };
  const lines = announcementLines(announcement, served, lists.signer);
  reporter.result([...lines, ...(exports === undefined ? [] : exportLines(exports, address))], serving);
  for (const file of directory.secrets()) {
    reporter.warn(
      `${printable(file)} is not served, but should not lie here: another web server would give the secret away`,
    );
  }
  for (const warning of announcement.warnings) reporter.warn(warning);
}

/** The digests of large images take a while: they are there when the first machine asks. */
function lookAtFiles({ directory, digests, lists, warn }: Site): void {
  const looked = async () => {
    const { staleListWarnings } = await import('../serve/stale-list.ts');
    for (const warning of await staleListWarnings(directory, digests)) warn(warning);
    await lists.list([], '');
  };
  looked().catch((error: unknown) => warn(`the checksums cannot be made: ${reasonOf(error)}`));
}

/** @throws RdpullError file-not-found, bad-argument */
function servedDirectory(operand: string): string {
  const directory = operand === '' ? '.' : operand;
  const stat = statAt(directory);
  if (stat === undefined) {
    throw new RdpullError(
      'file-not-found',
      `there is no directory ${printable(directory)}`,
      'check the path',
    );
  }
  if (stat.isDirectory()) return directory;
  throw new RdpullError(
    'bad-argument',
    `${printable(directory)} is no directory`,
    'name the directory in which the UKI and the image lie',
  );
}

/** @throws RdpullError bad-option */
function givenMode(line: CommandLine): ExportMode | undefined {
  const value = line.value('nvme');
  if (value === undefined) return undefined;
  const mode = EXPORT_MODES.find((each) => each === (value === '' ? 'ro' : value));
  if (mode !== undefined) return mode;
  throw new RdpullError(
    'bad-option',
    `--nvme=${printable(value)} is not valid`,
    'write --nvme=ro, which is --nvme alone, or --nvme=rw for one machine that writes to its image',
  );
}

/** @throws RdpullError bad-option */
function givenPort(line: CommandLine): number {
  const value = line.value('port') ?? DEFAULT_PORT;
  const port = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
  if (port <= PORT_MAX) return port;
  throw new RdpullError(
    'bad-option',
    `--port=${printable(value)} is not valid`,
    `give a number up to ${PORT_MAX}; 0 takes any port that is free`,
  );
}

/** @throws RdpullError bad-option */
async function givenAddress(line: CommandLine): Promise<string | undefined> {
  const { isIP } = await import('node:net');
  const address = line.value('address');
  if (address === undefined || isIP(address) !== 0) return address;
  throw new RdpullError(
    'bad-option',
    `--address=${printable(address)} is no IP address`,
    'give one of this machine, such as 192.168.1.2 or ::1; without --address= it is all',
  );
}
