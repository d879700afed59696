import { ChecksumLists } from './checksum-list.ts';
import { FileDigests } from './file-digests.ts';
import { createRequestLog, type LogOutput, type RequestLog } from './request-log.ts';
import { ServedDirectory } from './served-directory.ts';
import { WithheldFiles } from './withheld-files.ts';

/** What signs, and what opens it: paths. */
export interface SecretFiles {
  readonly key: string | undefined;
  readonly passphrase: string | undefined;
}

/** What is served, and who hears of it. Disposing of it ends the log. */
export interface Site extends Disposable {
  readonly directory: ServedDirectory;
  readonly digests: FileDigests;
  readonly lists: ChecksumLists;
  readonly log: RequestLog;
}

/** @throws RdpullError credential-unusable */
export async function createSite(
  path: string,
  { key, passphrase }: SecretFiles,
  output: LogOutput,
): Promise<Site> {
  const signer =
    key === undefined ? undefined : await (await import('./list-signer.ts')).readListSigner(key, passphrase);
  const secret = [key, passphrase].filter((file) => file !== undefined);
  const directory = new ServedDirectory(path, new WithheldFiles(secret));
  const digests = new FileDigests();
  const lists = new ChecksumLists(directory, digests, signer);
  const log = createRequestLog(output);
  return { directory, digests, lists, log, [Symbol.dispose]: () => log[Symbol.dispose]() };
}
