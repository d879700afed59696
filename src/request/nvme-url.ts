import { quotedUrl } from '../console/shown-url.ts';

/** The scheme of the NVM Express Boot Specification, 1.0: the fabric that TCP carries. */
const NVME_SCHEME = 'nvme+tcp:';

/** The well-known name of every discovery controller: who asks for that, asks the server what it has. */
export const DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery';

/** What a subsystem has of this kind: by its number, or by what names it for ever (the attributes of sysfs are called so). */
export interface NvmeNamespace {
  readonly by: 'nsid' | 'uuid' | 'eui' | 'nguid';
  /** A number without leading zeros, or hexadecimal digits in lower case and nothing else. */
  readonly id: string;
}

/** `nvme+tcp://HOST[:PORT]/SUBSYSTEM-NQN/NID`, of which anything may be missing that is found out at boot. */
export interface NvmeUrl {
  /** A name or an address, IPv6 without brackets and perhaps with `%ZONE`; undefined: the server of the UKI. */
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly nqn: string | undefined;
  readonly namespace: NvmeNamespace | undefined;
}

/** Why a text is no such URL, as the end of a sentence that starts with it, and what to write. */
export interface NvmeUrlDefect {
  readonly what: string;
  readonly hint: string;
}

/** Bytes: NVM Express Base Specification, 4.7. */
const NQN_MAX = 223;

/**
 * What an NQN may hold here: the options for the kernel are a list with commas, and udev's rules, units and shells have a meaning for
 * the others.
 */
const NQN = /^nqn\.[A-Za-z0-9._:+@=~-]+$/;

const HOST_NAME =
  /^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*\.?$/;
const IPV6 = /^\[([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)(?:%(?:25)?([A-Za-z0-9._~-]{1,15}))?\]$/;

/** Whether `text` is meant as one. */
export function isNvmeUrl(text: string): boolean {
  return text.startsWith(NVME_SCHEME);
}

/** Reads what {@link formatNvmeUrl} writes. */
export function parseNvmeUrl(text: string): NvmeUrl | NvmeUrlDefect {
  const rest = text.slice(NVME_SCHEME.length);
  if (rest !== '' && !rest.startsWith('//')) {
    return { what: 'has something else than // behind the scheme', hint: GRAMMAR };
  }
  const [authority = '', ...components] = rest.slice(2).split('/');
  const place = parseAuthority(authority);
  if ('what' in place) return place;
  const parts = components.at(-1) === '' ? components.slice(0, -1) : components;
  const [nqn, nid, ...others] = parts;
  if (others.length > 0) return { what: 'has more than a subsystem and a namespace', hint: GRAMMAR };
  const defect = nqn === undefined ? undefined : nqnDefect(nqn);
  if (defect !== undefined)
    return { what: `names no subsystem: ${quotedUrl(nqn ?? '')} ${defect}`, hint: GRAMMAR };
  const namespace = nid === undefined ? undefined : parseNamespace(nid);
  if (nid !== undefined && namespace === undefined) {
    return {
      what: `names no namespace: ${quotedUrl(nid)} is no number from 1 on, UUID, EUI64 or NGUID`,
      hint: 'leave it out where the subsystem has only one, or write its number: /1',
    };
  }
  if (nqn !== DISCOVERY_NQN) return { ...place, nqn, namespace };
  if (namespace === undefined) return { ...place, nqn: undefined, namespace };
  return {
    what: 'names a namespace of the discovery controller, which has none',
    hint: 'leave both out, and the server is asked what it has',
  };
}

/** The URL as a text, with all that is known of it. */
export function formatNvmeUrl({ host, port, nqn, namespace }: NvmeUrl): string {
  const address = host === undefined ? '' : formatHost(host);
  const authority = `${address}${port === undefined ? '' : `:${port}`}`;
  const path =
    nqn === undefined ? '' : `/${nqn}${namespace === undefined ? '' : `/${formatNamespace(namespace)}`}`;
  return authority === '' && path === '' ? NVME_SCHEME : `${NVME_SCHEME}//${authority}${path}`;
}

/** As it stands in a URL: `10.0.0.1`, `[fe80::1%25eth0]`. */
export function formatHost(host: string): string {
  return host.includes(':') ? `[${host.replace('%', '%25')}]` : host;
}

export function formatNamespace({ by, id }: NvmeNamespace): string {
  if (by === 'nsid') return id;
  return by === 'uuid' ? `uuid:${id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')}` : `${by}.${id}`;
}

const GRAMMAR =
  'write nvme+tcp://HOST[:PORT]/SUBSYSTEM-NQN, for example nvme+tcp://192.168.1.2:4420/nqn.2023-10.io.systemd:storagetm.ID.image.raw';

/** Why a text cannot be the NQN of a subsystem, to follow it; undefined when it can. */
export function nqnDefect(nqn: string): string | undefined {
  if (!nqn.startsWith('nqn.')) return 'does not start with "nqn."';
  if (nqn.length > NQN_MAX) return `is longer than ${NQN_MAX} bytes`;
  return NQN.test(nqn) ? undefined : 'holds a character that is no letter, digit or one of . : - _ + @ = ~';
}

function parseAuthority(authority: string): Pick<NvmeUrl, 'host' | 'port'> | NvmeUrlDefect {
  if (authority.includes('@')) return { what: 'holds a login, which NVMe has none of', hint: 'leave it out' };
  const [, hostText = '', portText] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(authority) ?? [];
  const port = portText === undefined ? undefined : parsePort(portText);
  if (portText !== undefined && port === undefined) {
    return {
      what: `has no usable port: ${quotedUrl(portText)}`,
      hint: 'write a number from 1 to 65535; usual are 4420 and 8009',
    };
  }
  if (hostText === '') return { host: undefined, port };
  const [, address, zone] = IPV6.exec(hostText) ?? [];
  if (address !== undefined) return { host: zone === undefined ? address : `${address}%${zone}`, port };
  if (HOST_NAME.test(hostText) && hostText.length <= 253) return { host: hostText, port };
  return {
    what: `names no host: ${quotedUrl(hostText)}`,
    hint: 'write a name, an IPv4 address, or an IPv6 address in brackets',
  };
}

function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

function parseNamespace(text: string): NvmeNamespace | undefined {
  // 0xffffffff is all of them: NVM Express Base Specification, 3.2.1.
  if (/^\d{1,10}$/.test(text) && Number(text) >= 1 && Number(text) < 0xffff_ffff) {
    return { by: 'nsid', id: String(Number(text)) };
  }
  const [, prefix = '', written = ''] =
    /^(urn:uuid:|uuid[:.]|eui\.|nguid\.|eui64\.)?([0-9a-f-]+)$/i.exec(text) ?? [];
  const id = written.replaceAll('-', '').toLowerCase();
  const kind = prefix.toLowerCase();
  if (id.length === 16 && (kind === '' || kind.startsWith('eui'))) return { by: 'eui', id };
  if (id.length !== 32) return undefined;
  if (kind.includes('uuid') || (kind === '' && written.includes('-'))) return { by: 'uuid', id };
  return kind === '' || kind === 'nguid.' || kind === 'eui.' ? { by: 'nguid', id } : undefined;
}
