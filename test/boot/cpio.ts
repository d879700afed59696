import { tool } from './tool.ts';

/** Packs a directory as an initrd is packed, not compressed: everything is root's. */
export async function packInitrd(directory: string, archive: string): Promise<void> {
  await tool([
    'bsdtar',
    '--create',
    '--format=newc',
    '--uid=0',
    '--gid=0',
    '--file',
    archive,
    '-C',
    directory,
    '.',
  ]);
}
