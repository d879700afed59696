import { printable, quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';

/** Bytes that a unit's name may have (systemd's UNIT_NAME_MAX is 256 and counts the final NUL). */
const UNIT_NAME_MAX = 255;

/** The types of unit whose instances may stand for a path: systemd.unit(5). */
export type UnitSuffix =
  | '.service'
  | '.socket'
  | '.device'
  | '.mount'
  | '.automount'
  | '.swap'
  | '.target'
  | '.path'
  | '.timer'
  | '.slice'
  | '.scope';

/**
 * The unit `PREFIX@PATH.SUFFIX` that works on `path`, as `systemd-escape --path --template=` names it.
 *
 * @throws RdpullError bad-argument when the path climbs with `..`, bad-image-name when the name gets too long
 */
export function unitNameFromPath(prefix: string, path: string, suffix: UnitSuffix): string {
  const name = `${prefix}@${escapePath(path)}${suffix}`;
  if (name.length <= UNIT_NAME_MAX) return name;
  throw new RdpullError(
    'bad-image-name',
    `no unit can be named after ${quoted(path)}: the name ${printable(name)} ` +
      `has ${name.length} bytes, ${UNIT_NAME_MAX} is the limit`,
    'give the image a shorter local name; outside a-z, A-Z, 0-9, ":", "_" and "." a byte counts as four',
  );
}

/** The path that `PREFIX@PATH.SUFFIX` works on: the inverse of {@link unitNameFromPath}; undefined for any other name. */
export function pathFromUnitName(prefix: string, unit: string, suffix: UnitSuffix): string | undefined {
  if (!unit.startsWith(`${prefix}@`) || !unit.endsWith(suffix)) return undefined;
  const escaped = unit.slice(prefix.length + 1, -suffix.length);
  if (escaped === '' || !/^(?:[0-9A-Za-z:_.-]|\\x[0-9a-f]{2})+$/.test(escaped)) return undefined;
  if (escaped === '-') return '/';
  const bytes = [...escaped.matchAll(/\\x(..)|(.)/g)].map(([, hex, character = '']) => {
    if (hex !== undefined) return Number.parseInt(hex, 16);
    return (character === '-' ? '/' : character).charCodeAt(0);
  });
  return `/${Buffer.from(bytes).toString()}`;
}

/** `text` for a unit file's setting: its percent signs are no specifiers (systemd.unit(5), "Specifiers"). */
export function escapeSpecifiers(text: string): string {
  return text.replaceAll('%', '%%');
}

/** The path in systemd's spelling for unit names: systemd.unit(5), "String Escaping for Inclusion in Unit Names". */
function escapePath(path: string): string {
  const components = path.split('/').filter((component) => component !== '' && component !== '.');
  if (components.includes('..')) {
    throw new RdpullError(
      'bad-argument',
      `no unit can be named after ${quoted(path)}: it climbs with ".."`,
      'write the path without ".."',
    );
  }
  if (components.length === 0) return '-';

  let escaped = '';
  for (const character of components.join('/')) {
    if (character === '/') escaped += '-';
    else if (/[0-9A-Za-z:_]/.test(character) || (character === '.' && escaped !== '')) escaped += character;
    else escaped += escapeBytes(character);
  }
  return escaped;
}

function escapeBytes(character: string): string {
  return [...Buffer.from(character)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}
