import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { readNamedFile } from '../kernel/named-file.ts';
import { isSystemError, reasonWithoutPath } from '../kernel/system-error.ts';
import type { OciReference } from '../request/oci-reference.ts';

/** Where systemd looks for the rules of registries (CONF_PATHS in its constants.h): the first file of a name counts. */
const DIRECTORIES = ['/etc', '/run', '/usr/local/lib', '/usr/lib'].map(
  (directory) => `${directory}/systemd/oci-registry`,
);

/** Longer ones nobody writes, in bytes. */
const LONGEST = 64 * 1024;

/** What a file says of the references that it is for; what it does not say is undefined (systemd's oci-util.c). */
export interface RegistryRules {
  /** The file, for messages. */
  readonly file: string;
  readonly defaultProtocol?: string;
  readonly overrideRegistry?: string;
  readonly defaultRegistry?: string;
  readonly overrideImage?: string;
  readonly shortImagePrefix?: string;
  readonly defaultTag?: string;
}

const NAMES = [
  'defaultProtocol',
  'overrideRegistry',
  'defaultRegistry',
  'overrideImage',
  'shortImagePrefix',
  'defaultTag',
] as const;

/**
 * Finds systemd's rules for a reference: `registry.REGISTRY.oci-registry`, or without a registry `image.NAME.oci-registry`, or
 * else `default.oci-registry`.
 *
 * @param root where etc, run and usr lie
 * @returns undefined when there are none
 * @throws RdpullError file-unreadable
 */
export function findRegistryRules({ registry, image }: OciReference, root = ''): RegistryRules | undefined {
  const own = registry === undefined ? `image.${escapeName(image)}` : `registry.${escapeName(registry)}`;
  for (const name of [own, 'default']) {
    for (const directory of DIRECTORIES) {
      const rules = readRules(`${root}${directory}/${name}.oci-registry`);
      if (rules !== undefined) return rules;
    }
  }
  return undefined;
}

function readRules(file: string): RegistryRules | undefined {
  let text: string;
  try {
    text = readNamedFile(file, LONGEST).toString();
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw unreadable(file, reasonWithoutPath(error));
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw unreadable(file, 'it is not JSON');
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw unreadable(file, 'it holds no object');
  }
  const rules: { -readonly [Name in keyof RegistryRules]: RegistryRules[Name] } = { file };
  for (const name of NAMES) {
    const value: unknown = Reflect.get(content, name);
    if (value === undefined || value === null) continue;
    if (typeof value !== 'string') throw unreadable(file, `${name} is no string`);
    rules[name] = value;
  }
  return rules;
}

function unreadable(file: string, why: string): RdpullError {
  return new RdpullError(
    'file-unreadable',
    `${printable(file)}, which has rules for registries, cannot be used: ${why}`,
    'correct it, or remove it',
  );
}

/** As systemd's urlescape() makes a file name of it. */
function escapeName(text: string): string {
  return text.replaceAll(
    /[^A-Za-z0-9._-]/g,
    (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
