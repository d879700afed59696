import { RdpullError } from '../console/rdpull-error.ts';
import type { PullRequest } from '../request/pull-request.ts';
import { type Login, splitLogin } from '../transfer/source/login.ts';

/** A URL to pull from, without the login that it may have held. */
export interface PullUrl {
  readonly url: string;
  readonly login: Login | undefined;
}

/**
 * The URL that a request means on this machine: its own, or the file beside what the machine was booted from.
 *
 * @returns undefined when the request is for the boot origin and the machine was not booted over HTTP
 * @throws RdpullError bad-url, http-not-found when no image lies beside the UKI, and those of `openSource`
 */
export async function findPullUrl(
  { remote, type }: PullRequest,
  options: { readonly ca: readonly string[]; readonly signal: AbortSignal },
): Promise<PullUrl | undefined> {
  if (remote.kind === 'url') return splitLogin(remote.url);
  const [{ findBootOrigin }, { imageUrls }] = await Promise.all([
    import('../origin/boot-origin.ts'),
    import('../origin/image-url.ts'),
  ]);
  const origin = findBootOrigin();
  if (origin === undefined) return undefined;
  const candidates = imageUrls(remote.name, type, origin.url).map(splitLogin);
  const [only, ...others] = candidates;
  if (only !== undefined && others.length === 0) return only;
  for (const candidate of candidates) {
    if (await exists(candidate, options)) return candidate;
  }
  throw new RdpullError(
    'http-not-found',
    `none of these is on the server: ${candidates.map(({ url }) => url).join(', ')}`,
    'put the image beside the UKI under one of these names, or name it behind the second colon of the expression',
  );
}

async function exists(
  { url, login }: PullUrl,
  options: { readonly ca: readonly string[]; readonly signal: AbortSignal },
): Promise<boolean> {
  // Only here is it needed before the transfer is: it opens the way into libc.
  const { openSource } = await import('../transfer/source/open-source.ts');
  try {
    const source = await openSource(url, { ...options, login });
    source.close();
    return true;
  } catch (error) {
    if (error instanceof RdpullError && ['http-not-found', 'http-forbidden'].includes(error.code))
      return false;
    throw error;
  }
}
