import { quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shellWord } from '../console/shell-command.ts';
import type { Absence } from '../source/open-source.ts';
import { entryOf, type Manifest, parseManifest, plainName } from './manifest.ts';
import { verifySignature } from './openpgp/signature.ts';
import type { SignedFile } from './signed-file.ts';
import { describeSigner, type Signer } from './signer.ts';
import { describeTrust, loadTrust, type Trust, type TrustChoice } from './trust.ts';
import { isWebPage } from './web-page.ts';

/** What is needed to find out what bytes a file must have. */
export interface DigestRequest {
  /** The file, for messages. */
  readonly fileUrl: string;
  /** Its name on the server: the last component of the URL, undefined when there is none. */
  readonly fileName: string | undefined;
  /** Whether somebody who is trusted has to vouch for the digest. */
  readonly requireSignature: boolean;
  /** The URL of the file called `name` beside it. */
  readonly sibling: (name: string) => string;
  /**
   * The content of a small file, or undefined when the server says that there is none: 404, 403 (which object stores
   * answer for what does not exist), a missing file. Has to throw for everything else, so that a failing server never
   * looks like one that has no signature.
   *
   * @param absent hears which of them it is
   */
  readonly fetchSmall: (url: string, absent: (why: Absence) => void) => Promise<Uint8Array | undefined>;
  /** A URL as it may be printed and recorded: without credentials. As it stands when absent. */
  readonly shown?: (url: string) => string;
  readonly trust: TrustChoice;
  /** The time to judge by; the clock's when absent. */
  readonly now?: Date;
  /** Takes a line for each step: what was found, and why it is accepted or passed over. */
  readonly explain?: (text: string) => void;
}

export interface ExpectedDigest {
  /** SHA-256 of the file as served: 64 lower-case hexadecimal digits. */
  readonly digest: string;
  /** The checksum file it was found in, as `shown` shows it. */
  readonly manifestUrl: string;
  /** Who signed that; undefined when no signature was required. */
  readonly signedBy: Signer | undefined;
  /** The whole of the checksum file. */
  readonly manifest: Manifest;
}

/** One way to publish digests: a checksum file, and the names that its signatures may have. */
interface Style {
  readonly manifest: string;
  readonly openpgp: readonly string[];
  readonly cms: string;
}

/** As SUSE publishes digests, and as Ubuntu and systemd-sysupdate do; in systemd-pull's order. */
function styles(fileName: string): readonly Style[] {
  const own = `${fileName}.sha256`;
  return [
    { manifest: own, openpgp: [`${own}.asc`, `${own}.gpg`], cms: `${own}.p7s` },
    { manifest: 'SHA256SUMS', openpgp: ['SHA256SUMS.gpg', 'SHA256SUMS.asc'], cms: 'SHA256SUMS.p7s' },
  ];
}

/**
 * Finds the digest that the server, or with `requireSignature` somebody who is trusted, promises for a file.
 *
 * A checksum file counts only together with a signature over itself: one without is passed over. (systemd-pull looks
 * for the two independently, and fails when it has found them in different styles.) A signature that is there has to
 * be good: there is no falling back from a bad one. It is checked before the first byte of the checksum file is read.
 * Signatures that nobody here could check, for want of keys or of certificates, are not asked for.
 *
 * @throws RdpullError manifest-missing, signature-missing, and those of {@link loadTrust}, {@link verifySignature},
 *   {@link verifyCmsSignature}, {@link parseManifest}, {@link entryOf} and `fetchSmall`
 */
export async function expectedDigest(request: DigestRequest): Promise<ExpectedDigest> {
  const { fileUrl, fileName, requireSignature, sibling, now = new Date() } = request;
  if (fileName === undefined || fileName === '') {
    throw new RdpullError(
      'manifest-missing',
      `nothing can vouch for ${fileUrl}: the URL names no file that a checksum file could list`,
      'use a URL that ends in a file name, or give the digest itself with verify=sha256:HEX',
    );
  }

  const { explain = () => undefined } = request;
  const trust = requireSignature ? await loadTrust(request.trust) : undefined;
  if (trust !== undefined) explain(`signatures are checked with ${describeTrust(trust)}`);
  const answers: Answer[] = [];
  for (const style of styles(fileName)) {
    const manifest = await ask(sibling(style.manifest), request, answers);
    if (manifest === undefined) continue;
    if (trust === undefined) return promised(manifest, request, fileName, now, undefined);

    for (const name of signatureNames(style, trust)) {
      const signature = await ask(sibling(name), request, answers);
      if (signature === undefined) continue;
      const signed = { ...manifest, signatureUrl: signature.url, signature: signature.content };
      const signer = await verifyBy(name, signed, trust, now);
      explain(`${signature.url}: a good signature, made ${describeSigner(signer)}`);
      return promised(manifest, request, fileName, now, signer);
    }
    explain(`${manifest.url}: passed over, for it is not signed`);
  }
  throw nothingFound(request, fileName, answers);
}

interface SmallFile {
  /** For messages only. */
  readonly url: string;
  readonly content: Uint8Array;
}

/** What came of asking for one file. */
interface Answer {
  /** For messages only. */
  readonly url: string;
  readonly outcome: 'found' | Absence | 'a web page' | 'empty';
}

async function ask(
  url: string,
  { fetchSmall, shown = (plain) => plain, explain = () => undefined }: DigestRequest,
  answers: Answer[],
): Promise<SmallFile | undefined> {
  let absence: Absence = 'not found';
  const content = await fetchSmall(url, (why) => {
    absence = why;
  });
  const outcome = content === undefined ? absence : judge(content);
  answers.push({ url: shown(url), outcome });
  explain(`${shown(url)}: ${outcome}${outcome === 'found' ? '' : ', passed over'}`);
  return content !== undefined && outcome === 'found' ? { url: shown(url), content } : undefined;
}

function signatureNames({ openpgp, cms }: Style, { keyring, certificates }: Trust): string[] {
  return [...(keyring === undefined ? [] : openpgp), ...(certificates === undefined ? [] : [cms])];
}

async function verifyBy(name: string, signed: SignedFile, trust: Trust, now: Date): Promise<Signer> {
  if (trust.certificates !== undefined && name.endsWith('.p7s')) {
    // pkijs is large: not for signatures by OpenPGP.
    const { verifyCmsSignature } = await import('./cms/signature.ts');
    return verifyCmsSignature(signed, trust.certificates, now);
  }
  if (trust.keyring === undefined) throw new Error(`nothing was trusted that could check ${name}`);
  return verifySignature(signed, trust.keyring, now);
}

function judge(content: Uint8Array): Answer['outcome'] {
  if (content.length === 0) return 'empty';
  return isWebPage(content) ? 'a web page' : 'found';
}

function promised(
  { url, content }: SmallFile,
  { explain = () => undefined }: DigestRequest,
  fileName: string,
  now: Date,
  signedBy: Signer | undefined,
): ExpectedDigest {
  const manifest = parseManifest(content, url, now);
  const { digest, line, name } = entryOf(manifest, fileName);
  explain(`${url}: line ${line} promises the SHA-256 ${digest} for ${quoted(name)}`);
  return { digest, manifestUrl: url, signedBy, manifest };
}

function nothingFound(request: DigestRequest, fileName: string, answers: readonly Answer[]): RdpullError {
  const asked = answers.map(({ url, outcome }) => `${url} (${outcome})`).join(', ');
  const unsigned = answers.find(({ outcome }) => outcome === 'found');
  if (unsigned !== undefined) {
    const name = plainName(unsigned.url.slice(unsigned.url.lastIndexOf('/') + 1));
    return new RdpullError(
      'signature-missing',
      `nobody has signed the checksums of ${request.fileUrl}; asked for ${asked}`,
      `sign them with gpg --armor --detach-sign ${shellWord(name)}, or do without a signature: verify=checksum`,
    );
  }
  const file = shellWord(plainName(fileName));
  const sums = shellWord(`${plainName(fileName)}.sha256`);
  return new RdpullError(
    'manifest-missing',
    `there is no checksum file for ${request.fileUrl}; asked for ${asked}`,
    `put one beside the file: sha256sum ${file} > ${sums}${
      request.requireSignature ? `, and sign it: gpg --armor --detach-sign ${sums}` : ''
    }`,
  );
}
