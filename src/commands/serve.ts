import { once } from 'node:events';
import fs from 'node:fs';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import type { Command, CommandLine } from './command.ts';
import type { ServingJson } from './json-results.ts';

/** What `mkosi serve` listens on as well. */
const DEFAULT_PORT = '8081';

const PORT_MAX = 65_535;

export const serve: Command = {
  name: 'serve',
  operand: 'DIRECTORY',
  operandIsOptional: true,
  summary: 'serve the UKI and the image that were built, to machines that are to boot them',
  description: `Serves DIRECTORY (default: this one) over HTTP until it is stopped, and shows which machine fetches what. Ranges and
entity tags are answered, so that a download that broke off goes on; one during which its file is replaced is cut.

SHA256SUMS is made for what is there at that moment, unless somebody has put one there; with --sign=, SHA256SUMS.gpg as well. At
the start the URLs are printed, the line that tells the firmware of the UKI, and which image the UKI will pull. Hidden files
are not served, nor what symbolic links lead to outside of DIRECTORY. Everybody who reaches this machine can read the rest.`,
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
  ],
  async run(line, { reporter, signal }) {
    const directory = servedDirectory(line.operand);
    const port = givenPort(line);
    const address = await givenAddress(line);
    const passphrase = line.value('passphrase');
    const key = line.value('sign');
    if (passphrase !== undefined && key === undefined) {
      throw new RdpullError(
        'bad-option',
        '--passphrase=FILE is for a secret key, and none was given',
        'add --sign=FILE',
      );
    }
    const [{ ServedDirectory }, { FileDigests }, { ChecksumLists }, { createRequestLog }, { startServer }] =
      await Promise.all([
        import('../serve/served-directory.ts'),
        import('../serve/file-digests.ts'),
        import('../serve/checksum-list.ts'),
        import('../serve/request-log.ts'),
        import('../serve/web-server.ts'),
      ]);
    const { announce, announcementLines } = await import('../serve/announcement.ts');
    const { staleListWarnings } = await import('../serve/stale-list.ts');
    const signer =
      key === undefined
        ? undefined
        : await (await import('../serve/list-signer.ts')).readListSigner(key, passphrase);

    const served = new ServedDirectory(
      directory,
      [key, passphrase].filter((file) => file !== undefined),
    );
    const digests = new FileDigests();
    const lists = new ChecksumLists(served, digests, signer);
    const { json } = reporter.options;
    using log = createRequestLog({
      progress: reporter.progressOutput,
      ...reporter.unbounded,
      request: (each) => json && reporter.result([], each),
    });
    await using server = await startServer({ directory: served, lists, log }, { address, port });

    const announcement = announce(served, server.address, server.port);
    const serving: ServingJson = {
      event: 'serving',
      directory: fs.realpathSync(directory),
      urls: announcement.urls,
      ukis: announcement.ukis.map(({ url, images }) => ({
        url,
        images: images.map(({ urls, pulled }) => ({ urls, pulled: pulled ?? null })),
      })),
    };
    const lines = announcementLines(
      announcement,
      { directory, address: server.address, port: server.port },
      signer,
    );
    reporter.result(lines, serving);
    for (const warning of announcement.warnings) reporter.warn(warning);

    // The digests of large images take a while: they are there when the first machine asks.
    const looked = async () => {
      for (const warning of await staleListWarnings(served, digests)) log.warn(warning);
      await lists.list([], '');
    };
    looked().catch((error: unknown) => log.warn(`the checksums cannot be made: ${reasonOf(error)}`));
    if (!signal.aborted) await once(signal, 'abort');
  },
};

/** @throws RdpullError file-not-found, bad-argument */
function servedDirectory(operand: string): string {
  const directory = operand === '' ? '.' : operand;
  const stat = fs.statSync(directory, { throwIfNoEntry: false });
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
