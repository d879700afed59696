import path from 'node:path';
import type { Subject } from '../check/subject.ts';
import { printable, quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { quotedUrl } from '../console/shown-url.ts';
import { nearest } from '../request/nearest.ts';
import { isNvmeUrl } from '../request/nvme-url.ts';
import { PLACEHOLDERS, type Placeholder, placeholdersIn } from '../request/placeholder.ts';
import { parsePullExpression } from '../request/pull-expression.ts';
import { type PullRequest, type Remote, remoteText } from '../request/pull-request.ts';
import { parseSize } from '../request/size-text.ts';
import { isHttpUrl } from '../request/url.ts';
import { warnOfClock } from './clock.ts';
import type { Command, CommandLine } from './command.ts';
import { requestForUrl } from './pull-arguments.ts';
import { findLocations, findStores, withIdentity } from './pull-url.ts';
import { requireServers, SERVER_OPTIONS, serverAccess } from './server-access.ts';
import { TRUST_OPTIONS, trusted } from './trust-arguments.ts';

export const check: Command = {
  name: 'check',
  operand: 'UKI|EXPRESSION|COMMAND-LINE|URL',
  operandIsOptional: true,
  summary: 'say line by line what a boot would pull, and whether that would work',
  description: `Does what the next boot would do, as far as that changes nothing: reads the expressions, finds the URLs, asks the
servers, checks the signatures, and holds the size of the images against the RAM. Of an image its first 160 KiB are
downloaded and, of xz, 64 KiB at its end, or more where its index is longer, and of qcow2 its tables;
checksum files and signatures are whole.

UKI is a file: its command line counts, and what is in its initrd, with the keys that are in there. EXPRESSION is
what stands behind rd.systemd.pull=; COMMAND-LINE is a whole kernel command line. Without an operand, that of
this machine is checked. The exit status is 0 when the boot would succeed, else that of the first failure.`,
  options: [
    {
      name: 'boot-url',
      value: 'URL',
      help: 'check as if the machine had been booted from URL, for bootorigin and dhcporigin (default: where this one was booted from)',
    },
    {
      name: 'ram',
      value: 'SIZE',
      help: 'the RAM of the machine that will boot, with or without a suffix: 2G (default: that of this one)',
    },
    {
      name: 'placeholder',
      value: 'NAME=VALUE',
      repeatable: true,
      help: 'what {NAME} in a URL stands for on that machine (default: what it stands for on this one)',
    },
    {
      name: 'cache',
      value: 'DIR',
      help: 'the cache of that machine: say what of it a boot would use (default: /run/rdpull/cache, where rd.rdpull.cache= is asked for)',
    },
    ...TRUST_OPTIONS,
    ...SERVER_OPTIONS,
  ],
  async run(line, { reporter, signal, exitLike }) {
    const givenUrl = bootUrl(line);
    const ram = memory(line);
    const placeholders = givenPlaceholders(line);
    warnOfClock(reporter);
    const { subjectOf } = await import('../check/subject.ts');
    const subject = subjectOf(line.operand);
    const request = requestOf(subject);
    if (request !== undefined) requireMeaning(line, request, placeholders);
    const trust = trusted(line, request?.verify);
    const { ca, proxy, identity } = await serverAccess(line);
    const [{ checkBoot }, { reportLines, reportJson }, { ownMemory }] = await Promise.all([
      import('../check/boot-check.ts'),
      import('../check/report.ts'),
      import('../check/boot-memory.ts'),
    ]);
    const { warn, detail } = reporter;
    const access = { ca, proxy, signal, login: undefined };
    const ownUrl = givenUrl ?? (await ownBootUrl());
    const bootUrlFor = (remote: Remote) =>
      (remote.kind === 'bootorigin' || remote.kind === 'nvme') && remote.dhcp === 'only' ? givenUrl : ownUrl;
    const finding = (
      remote: Remote,
      authorities: readonly string[],
      known: ReadonlyMap<Placeholder, string>,
    ) => ({
      ...access,
      ca: authorities,
      identity,
      warn,
      detail,
      bootUrl: bootUrlFor(remote),
      placeholders: new Map([...known, ...placeholders]),
    });
    const result = await checkBoot({
      subject,
      bootUrlFor,
      ram: ram ?? ownMemory(),
      isOwnRam: ram === undefined,
      cache: cacheDirectory(line),
      ...trust,
      access,
      locate: (request, { ca: authorities }, known) =>
        findLocations(request, finding(request.remote, authorities, known)),
      findStores: (request, locations, { ca: authorities }, known) =>
        findStores(request, locations, finding(request.remote, authorities, known)),
      identify: (text) => withIdentity(text, identity, warn),
      detail,
    });
    reporter.result(reportLines(result), reportJson(result));
    const failure = result.findings.find(({ error }) => error !== undefined)?.error;
    if (failure !== undefined) exitLike(failure);
  },
};

/** What a subject asks for that is one request; undefined for one that cannot be read: the checks say why. */
function requestOf(subject: Subject): PullRequest | undefined {
  try {
    if (subject.kind === 'url' && !isNvmeUrl(subject.url)) return requestForUrl(subject.url);
    return subject.kind === 'expression' ? parsePullExpression(subject.text, () => undefined) : undefined;
  } catch (error) {
    if (error instanceof RdpullError) return undefined;
    throw error;
  }
}

/** @throws RdpullError bad-option for what makes no difference to this request */
function requireMeaning(
  line: CommandLine,
  { remote, mirrors, stores }: PullRequest,
  given: ReadonlyMap<Placeholder, string>,
): void {
  if (remote.kind === 'url') requireServers(line, [remote.url, ...mirrors, ...stores]);
  const texts = [remoteText(remote), ...mirrors, ...stores];
  const used = new Set(texts.flatMap((text) => [...placeholdersIn(text)]));
  const unused = [...given.keys()].find((name) => !used.has(name));
  if (unused !== undefined) {
    throw new RdpullError(
      'bad-option',
      `--placeholder=${unused}=VALUE is for a URL with {${unused}} in it, and ${quotedUrl(line.operand)} has none`,
      'leave it out',
    );
  }
  const asksOrigin =
    remote.kind === 'bootorigin' || (remote.kind === 'nvme' && remote.url.host === undefined);
  if (line.has('boot-url') && !asksOrigin && used.size === 0) {
    throw new RdpullError(
      'bad-option',
      `--boot-url=URL is for bootorigin and dhcporigin, and ${quotedUrl(line.operand)} does not ask for that`,
      'leave it out',
    );
  }
}

/** Where this machine was booted from, if the EFI variables are there to say so: nothing is mounted for it. */
async function ownBootUrl(): Promise<string | undefined> {
  const { findBootOrigin } = await import('../origin/boot-origin.ts');
  try {
    return findBootOrigin()?.url;
  } catch (error) {
    if (error instanceof RdpullError) return undefined;
    throw error;
  }
}

/** @throws RdpullError bad-option */
function bootUrl(line: CommandLine): string | undefined {
  const url = line.value('boot-url');
  if (url === undefined || (isHttpUrl(url) && URL.canParse(url))) return url;
  throw new RdpullError(
    'bad-option',
    `--boot-url=${quotedUrl(url)} is no http or https URL`,
    'write it as http://HOST/image.efi',
  );
}

function cacheDirectory(line: CommandLine): string | undefined {
  const directory = line.value('cache');
  return directory === undefined ? undefined : path.resolve(directory);
}

/** @throws RdpullError bad-option */
function memory(line: CommandLine): number | undefined {
  const text = line.value('ram');
  if (text === undefined) return undefined;
  const bytes = parseSize(text);
  if (bytes !== undefined && bytes > 0 && Number.isSafeInteger(bytes)) return bytes;
  throw new RdpullError(
    'bad-option',
    `--ram=${printable(text)} is not valid`,
    'give a number of bytes, with or without a suffix: 512M, 2G',
  );
}

/** @throws RdpullError bad-option */
function givenPlaceholders(line: CommandLine): ReadonlyMap<Placeholder, string> {
  const values = new Map<Placeholder, string>();
  for (const text of line.values('placeholder')) {
    const [, word = '', value = ''] = /^\{?([^=}]*)\}?(?:=(.*))?$/s.exec(text) ?? [];
    const name = PLACEHOLDERS.find((each) => each === word);
    if (name !== undefined && value !== '') {
      values.set(name, value);
      continue;
    }
    const meant = nearest(word, PLACEHOLDERS);
    const spelling = meant === undefined ? 'NAME' : meant;
    throw new RdpullError(
      'bad-option',
      name === undefined
        ? `there is no placeholder ${quoted(word)}`
        : `--placeholder=${printable(text)} has no value`,
      meant === undefined
        ? `valid are ${PLACEHOLDERS.join(', ')}`
        : `${name === undefined ? 'did you mean' : 'write'} --placeholder=${spelling}=VALUE${name === undefined ? '?' : ''}`,
    );
  }
  return values;
}
