import fs from 'node:fs';
import { RdpullError } from '../console/rdpull-error.ts';
import { imageBytes } from './image-bytes.ts';
import { type ImageLayout, identifyImage } from './image-layout.ts';

/** What may lie beside an image, under its name with one of these in place of `.raw` (systemd-dissect(1), veritytab(5)). */
export type SideFileSuffix = '.roothash' | '.roothash.p7s' | '.verity';

/** Partitions with dm-verity's hashes of the root or of /usr, for x86-64 and ARM64 (UAPI.2, Discoverable Partitions). */
const VERITY_TYPES: ReadonlySet<string> = new Set([
  '2c7357ed-ebd2-46d9-aec1-23d437ec2bf5', // SD_GPT_ROOT_X86_64_VERITY
  'df3300ce-d69f-4c92-978c-9bfb0f38d820', // SD_GPT_ROOT_ARM64_VERITY
  '77ff5f63-e7b6-4633-acf4-1565b864c0e6', // SD_GPT_USR_X86_64_VERITY
  '6e11a4e7-fbca-4ded-b9e9-e1a512bb664e', // SD_GPT_USR_ARM64_VERITY
]);
/** Partitions with the signed root hash of those. */
const SIGNATURE_TYPES: ReadonlySet<string> = new Set([
  '41092b05-9fc8-4523-994f-2def0408b176', // SD_GPT_ROOT_X86_64_VERITY_SIG
  '6db69de6-29f4-4758-a7a5-962190f00ce3', // SD_GPT_ROOT_ARM64_VERITY_SIG
  'e7bb33fb-06cf-4e81-8273-e543b413e2e2', // SD_GPT_USR_X86_64_VERITY_SIG
  'c23ce4ff-44bd-4b00-b2d4-b41b3419e02a', // SD_GPT_USR_ARM64_VERITY_SIG
]);

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
