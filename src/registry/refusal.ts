import { printableUpTo } from '../console/printable.ts';
import { duration } from '../console/quantity.ts';
import type { ErrorCode } from '../console/rdpull-error.ts';
import { shownUrl, withoutSecrets } from '../console/shown-url.ts';
import { diagnose, HttpStatusError } from '../source/http-status.ts';
import { FieldError, isFields, parseFields } from './json-fields.ts';

/** What was asked for. */
export type Asked = 'manifest' | 'blob' | 'token';

/** What a registry says beside a status, in characters that are shown of it. */
const SAID_MAX = 200;

/** Where these are the codes of the first error of a list (OCI distribution specification 1.1, "Error Codes"). */
const CODES: ReadonlyMap<string, ErrorCode> = new Map([
  ['NAME_UNKNOWN', 'registry-name-unknown'],
  ['NAME_INVALID', 'registry-name-unknown'],
  ['MANIFEST_UNKNOWN', 'registry-tag-unknown'],
  ['TAG_INVALID', 'registry-tag-unknown'],
  ['BLOB_UNKNOWN', 'registry-blob-unknown'],
  ['UNAUTHORIZED', 'registry-unauthorized'],
  ['DENIED', 'registry-unauthorized'],
  ['TOOMANYREQUESTS', 'registry-rate-limit'],
]);

/** The same, by status, where the server says no more. */
const STATUSES: Readonly<Record<Asked, Readonly<Record<number, ErrorCode>>>> = {
  manifest: {
    401: 'registry-unauthorized',
    403: 'registry-unauthorized',
    429: 'registry-rate-limit',
  },
  blob: {
    401: 'registry-unauthorized',
    403: 'registry-unauthorized',
    404: 'registry-blob-unknown',
    429: 'registry-rate-limit',
  },
  token: {
    401: 'registry-unauthorized',
    403: 'registry-unauthorized',
    429: 'registry-rate-limit',
  },
};

/**
 * What a refusal means where a registry has made it.
 *
 * @param url what was asked
 * @param repository the name of the image without tag and digest, for a person
 * @param hasLogin whether a login was shown
 */
export function registryRefusal(
  { refusal }: HttpStatusError,
  url: string,
  asked: Asked,
  repository: string,
  hasLogin: boolean,
): HttpStatusError {
  // Where blobs lie elsewhere, a server without tokens says something else by the same statuses.
  if (refusal.origin !== new URL(url).origin) return new HttpStatusError(shownUrl(url), refusal);
  const said = firstError(refusal.said);
  const code = CODES.get(said?.code ?? '') ?? STATUSES[asked][refusal.status];
  const words = said === undefined ? '' : [said.code, said.message].filter((word) => word !== '').join(': ');
  const details = words === '' ? '' : ` (${printableUpTo(SAID_MAX, withoutSecrets(words))})`;
  const wait =
    refusal.retryAfter === undefined ? '' : `; it asks to be left alone for ${duration(refusal.retryAfter)}`;
  if (code !== undefined) {
    const hint = hintFor(code, repository, hasLogin);
    return new HttpStatusError(shownUrl(url), refusal, { code, hint }, details + wait);
  }
  const { code: usual, hint } = diagnose(refusal.status);
  const registryHint =
    refusal.status === 404
      ? 'no registry says so: check the host and the port, and whether it is behind another one'
      : hint;
  return new HttpStatusError(shownUrl(url), refusal, { code: usual, hint: registryHint }, details + wait);
}

function hintFor(code: ErrorCode, repository: string, hasLogin: boolean): string {
  const listTags = `skopeo list-tags docker://${repository.replace(/^https?:\/\//, '')}`;
  switch (code) {
    case 'registry-name-unknown':
      return `check the name: ${listTags}`;
    case 'registry-tag-unknown':
      return `see which tags there are: ${listTags}`;
    case 'registry-blob-unknown':
      return 'push the image again: the registry has its manifest, and not all of its layers';
    case 'registry-rate-limit':
      return `wait for as long as it says, ${hasLogin ? 'or keep' : 'give a login with --login=FILE, or keep'} the image in a registry of your own`;
    default:
      return hasLogin
        ? 'check the login, and whether it may pull this image; many registries say so of images that do not exist, too'
        : 'check the name, and give a login with --login=FILE or the credential rdpull.login; many registries say so of images that do not exist, too';
  }
}

/** The first error of `{"errors": [{"code": ..., "message": ...}]}`; undefined when it is something else. */
function firstError(body: string): { readonly code: string; readonly message: string } | undefined {
  try {
    const { errors } = parseFields(Buffer.from(body));
    const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
    if (!isFields(first)) return undefined;
    const { code, message } = first;
    return {
      code: typeof code === 'string' ? code : '',
      message: typeof message === 'string' ? message : '',
    };
  } catch (error) {
    if (error instanceof FieldError) return undefined;
    throw error;
  }
}
