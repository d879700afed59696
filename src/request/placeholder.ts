import { nearest } from './nearest.ts';
import { type Remote, remoteText } from './pull-request.ts';
import { isHttpUrl, lastComponent } from './url.ts';

/** What may stand in braces in a remote, to be replaced by what this machine is when it pulls. */
export const PLACEHOLDERS = [
  'machine-id',
  'hostname',
  'arch',
  'kernel',
  'serial',
  'uuid',
  'mac',
  'gateway',
  'dhcp-server',
] as const;

export type Placeholder = (typeof PLACEHOLDERS)[number];

/** Those of which DHCP or the routes tell what they stand for, all of them addresses. */
export const NETWORK_PLACEHOLDERS = ['gateway', 'dhcp-server'] as const satisfies readonly Placeholder[];

export type NetworkPlaceholder = (typeof NETWORK_PLACEHOLDERS)[number];

/** Braces around anything else are ordinary characters. */
const PATTERN = /\{([a-z-]+)\}/g;

/** Why a remote cannot be pulled from: `what` ends a sentence that starts with the request, `hint` says what to try. */
export interface PlaceholderDefect {
  readonly what: string;
  readonly hint: string;
}

/** What is wrong with the placeholders of a remote; undefined when all of them can be replaced. */
export function placeholderDefect(remote: Remote): PlaceholderDefect | undefined {
  const text = remoteText(remote);
  // Nearly always: the rest costs a start of the generator 0.2 ms.
  if (!text.includes('{')) return undefined;
  for (const [word, name = ''] of text.matchAll(PATTERN)) {
    if (isPlaceholder(name)) continue;
    const meant = nearest(name, PLACEHOLDERS);
    const remedy =
      meant === undefined ? `valid are ${PLACEHOLDERS.map(braced).join(', ')}` : `did you mean {${meant}}?`;
    return {
      what: `holds an unknown placeholder, ${word}`,
      hint: `${remedy} (braces that mean themselves are written %7B and %7D)`,
    };
  }
  // Which interface reaches the server is known only when the server is.
  if (remote.kind === 'url' && placeholdersIn(beforePath(remote.url)).has('mac')) {
    return {
      what: `holds {mac}, the address of the interface that reaches the server, ${
        isHttpUrl(remote.url) ? 'in the name of the server itself' : 'but no server'
      }`,
      hint: isHttpUrl(remote.url)
        ? 'put it behind the host, or use {uuid} there'
        : 'use {uuid} or {machine-id}',
    };
  }
  return undefined;
}

/** Whether the local name that a remote yields depends on the machine that asks. */
export function hasPlaceholderInFileName(remote: Remote): boolean {
  if (remote.kind === 'registry' || remote.kind === 'nvme') return false;
  const url = remote.kind === 'url' ? remote.url : `http://host/${remote.name ?? ''}`;
  return placeholdersIn(lastComponent(url) ?? '').size > 0;
}

export function placeholdersIn(text: string): ReadonlySet<Placeholder> {
  if (!text.includes('{')) return new Set();
  return new Set([...text.matchAll(PATTERN)].map(([, name = '']) => name).filter(isPlaceholder));
}

/** Replaces those placeholders that `values` knows, percent-encoded so that no value can change the URL around it. */
export function expandPlaceholders(text: string, values: ReadonlyMap<Placeholder, string>): string {
  return text.replace(PATTERN, (word, name: string) => {
    const value = isPlaceholder(name) ? values.get(name) : undefined;
    return value === undefined ? word : encodeURIComponent(value);
  });
}

function isPlaceholder(name: string): name is Placeholder {
  return PLACEHOLDERS.some((each) => each === name);
}

function braced(name: string): string {
  return `{${name}}`;
}

/** Scheme and host of an HTTP URL; all of a file URL, which has no host. */
function beforePath(url: string): string {
  return isHttpUrl(url) ? (/^https?:\/\/[^/?#]*/.exec(url)?.[0] ?? url) : url;
}
