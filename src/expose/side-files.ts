import fs from 'node:fs';
import { RdpullError } from '../console/rdpull-error.ts';
import { DISCOVERABLE_PARTITIONS } from './discoverable-partitions.ts';
import { imageBytes } from './image-bytes.ts';
import { type ImageLayout, identifyImage } from './image-layout.ts';

/** What may lie beside an image, under its name with one of these in place of `.raw` (systemd-dissect(1), veritytab(5)). */
export type SideFileSuffix = '.roothash' | '.roothash.p7s' | '.verity';

const TYPES = Object.values(DISCOVERABLE_PARTITIONS);
/** Partitions with dm-verity's hashes of the root or of /usr. */
const VERITY_TYPES: ReadonlySet<string> = new Set(
  TYPES.flatMap(({ rootVerity, usrVerity }) => [rootVerity, usrVerity]),
);
/** Partitions with the signed root hash of those. */
const SIGNATURE_TYPES: ReadonlySet<string> = new Set(
  TYPES.flatMap(({ rootVeritySignature, usrVeritySignature }) => [rootVeritySignature, usrVeritySignature]),
);

/**
 * The side files that can tell systemd something about an image which the image does not hold itself: everything about
 * dm-verity for a bare file system, the signed root hash for partitions with hashes and no signature, and nothing else.
 *
 * @throws RdpullError of the storage family when the image cannot be read
 */
export function sideFilesOf(path: string): readonly SideFileSuffix[] {
  const layout = layoutOf(path);
  if (layout?.kind === 'file-system') return ['.roothash', '.roothash.p7s', '.verity'];
  if (layout?.kind !== 'gpt') return [];
  const has = (types: ReadonlySet<string>) => layout.partitions.some(({ type }) => types.has(type));
  return has(VERITY_TYPES) && !has(SIGNATURE_TYPES) ? ['.roothash', '.roothash.p7s'] : [];
}

function layoutOf(path: string): ImageLayout | undefined {
  const fd = fs.openSync(path, 'r');
  try {
    return identifyImage(imageBytes(fd), path);
  } catch (error) {
    // Whoever wants to attach it will be told; to be stored, an image need not be recognised.
    if (error instanceof RdpullError && error.code === 'image-unrecognised') return undefined;
    throw error;
  } finally {
    fs.closeSync(fd);
  }
}
