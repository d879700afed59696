/** The names that others write licences by, as identifiers of SPDX (https://spdx.org/licenses/). */
import fs from 'node:fs';
import path from 'node:path';

/** The list of SPDX as CycloneDX's schema has it. */
const LIST = path.resolve(
  import.meta.dir,
  '../node_modules/@cyclonedx/cyclonedx-library/res/schema/spdx.SNAPSHOT.schema.json',
);

const { enum: listed }: { readonly enum: readonly string[] } = JSON.parse(fs.readFileSync(LIST, 'utf8'));
const IDENTIFIERS: ReadonlyMap<string, string> = new Map(listed.map((id) => [id.toLowerCase(), id]));

/**
 * The expression of SPDX for what a package.json, Debian's copyright file or Bun's list calls a licence: `GPL-2+`,
 * `Apache 2.0`, `BSD-3-clause or GPL-2`. undefined when a part of it has no identifier.
 */
export function spdxExpression(licence: string): string | undefined {
  const ids = licence.split(/ or /i).map(identifier);
  return ids.every((id) => id !== undefined) ? ids.join(' OR ') : undefined;
}

function identifier(name: string): string | undefined {
  const plain = name
    .trim()
    .replace(/ licensed$/, '')
    .replaceAll(' ', '-');
  // Debian and the GNU project write them in this way; as identifiers they are deprecated.
  const [, family, number, later] = /^((?:L|A)?GPL)-v?(\d(?:\.\d)?)(\+?)$/.exec(plain) ?? [];
  const exact =
    family === undefined || number === undefined
      ? plain
      : `${family}-${number.length === 1 ? `${number}.0` : number}-${later === '+' ? 'or-later' : 'only'}`;
  return IDENTIFIERS.get(exact.toLowerCase());
}
