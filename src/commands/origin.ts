import { quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { FILE_TYPES } from '../request/image-class.ts';
import { placeholderDefect } from '../request/placeholder.ts';
import { isUrlText } from '../request/url.ts';
import { splitLogin } from '../source/login.ts';
import type { Command } from './command.ts';
import type { OriginJson } from './json-results.ts';
import { fillPlaceholders, readBootOrigin } from './pull-url.ts';

export const origin: Command = {
  name: 'origin',
  operand: 'NAME',
  operandIsOptional: true,
  summary: 'print where this machine was booted from over HTTP, and the URLs of the images beside it',
  description: `Prints the URL that this machine was booted from, which EFI variable says so, and the URL of the file NAME
beside it, as the option bootorigin of a pull expression finds it. Without NAME: the URLs at which an image
called like the boot file is looked for, best first. Nothing is downloaded.

Prints nothing, and succeeds, on a machine that was not booted over HTTP.`,
  options: [],
  async run(line, { reporter, signal }) {
    const name = line.operand === '' ? undefined : checkedName(line.operand);
    const found = await readBootOrigin(reporter.detail);
    if (found === undefined) {
      reporter.info('this machine was not booted over HTTP: no EFI variable holds a boot URL');
      reporter.result([], { url: null } satisfies OriginJson);
      return;
    }
    const url = splitLogin(found.url).url;
    const images =
      name === undefined ? await candidates(url, reporter.info) : await imageCalled(name, url, signal);
    const json: OriginJson = { url, source: found.source, images };
    reporter.result(
      [
        `booted from  ${url}`,
        `says         ${found.source}`,
        ...images.map((image) => `image        ${image}`),
      ],
      json,
    );
  },
};

function checkedName(name: string): string {
  if (!isUrlText(name)) {
    throw new RdpullError(
      'bad-url',
      `${quoted(name)} holds characters that a URL cannot`,
      'percent-encode the file name',
    );
  }
  const defect = placeholderDefect({ kind: 'bootorigin', name });
  if (defect === undefined) return name;
  throw new RdpullError('bad-url', `${quoted(name)} ${defect.what}`, defect.hint);
}

async function imageCalled(name: string, bootUrl: string, signal: AbortSignal): Promise<readonly string[]> {
  const { imageUrls } = await import('../origin/image-url.ts');
  return imageUrls(await fillPlaceholders(name, { signal }, bootUrl), 'raw', bootUrl);
}

/** What is looked for without a name. A boot URL that yields none is worth printing all the same. */
async function candidates(bootUrl: string, info: (text: string) => void): Promise<readonly string[]> {
  const { imageUrls } = await import('../origin/image-url.ts');
  try {
    return FILE_TYPES.flatMap((type) => imageUrls(undefined, type, bootUrl));
  } catch (error) {
    if (!(error instanceof RdpullError)) throw error;
    info(error.message);
    return [];
  }
}
