/**
 * Writes what the executable holds, for people, for Debian and for programs: LICENSES, copyright and rdpull.cdx.json in
 * dist/inventory/, or in that of another architecture: `bun scripts/inventory.ts [ARCHITECTURE]`.
 */
import fs from 'node:fs';
import path from 'node:path';
import manifest from '../package.json' with { type: 'json' };
import { buildFor } from './architecture.ts';
import { billOfMaterials } from './bill-of-materials.ts';
import { components } from './components.ts';
import { completeLicences, debianCopyright } from './licences.ts';

/** Bun for an architecture, as npm has it. */
const RUNTIME_PACKAGES = {
  'bun-linux-x64': '@oven/bun-linux-x64',
  'bun-linux-arm64': '@oven/bun-linux-aarch64',
} as const;

const { directory, libraries, target } = buildFor(process.argv[2]);
const inventory = path.join(directory, 'inventory');

const parts = await components({ libraries, runtimePackage: RUNTIME_PACKAGES[target] });
fs.mkdirSync(inventory, { recursive: true });
fs.writeFileSync(path.join(inventory, 'LICENSES'), completeLicences(parts));
fs.writeFileSync(path.join(inventory, 'copyright'), debianCopyright(parts));
fs.writeFileSync(
  path.join(inventory, 'rdpull.cdx.json'),
  billOfMaterials(parts, manifest.license, releaseTime()),
);

/** $SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/), which scripts/release sets. */
function releaseTime(): Date | undefined {
  const seconds = process.env['SOURCE_DATE_EPOCH'] ?? '';
  return seconds === '' ? undefined : new Date(Number(seconds) * 1000);
}
