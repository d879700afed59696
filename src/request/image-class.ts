/** How an image is packed that is one file: disk blocks, or a tarball of a directory tree. */
export type FileType = 'raw' | 'tar';

export const FILE_TYPES: readonly FileType[] = ['raw', 'tar'];

/** What an image is: a file, or the layers of a container image, which a registry has. */
export type ImageType = FileType | 'oci';

export const IMAGE_TYPES: readonly ImageType[] = [...FILE_TYPES, 'oci'];

/** Whether an image of this type becomes a directory tree, and not a file of disk blocks. */
export function isTree(type: ImageType): boolean {
  return type !== 'raw';
}

/** What an image is for, which decides its directory (systemd's own classes: systemd-import-generator(8)). */
export type ImageClass = 'machine' | 'portable' | 'sysext' | 'confext';

export const IMAGE_CLASSES: readonly ImageClass[] = ['machine', 'portable', 'sysext', 'confext'];

const DIRECTORY_NAME: Record<ImageClass, string> = {
  machine: 'machines',
  portable: 'portables',
  sysext: 'extensions',
  confext: 'confexts',
};

/** Where images of a class lie: below /run when `runtime`, which survives switch-root, else below /var/lib. */
export function imageDirectory(imageClass: ImageClass, runtime: boolean): string {
  return `${runtime ? '/run' : '/var/lib'}/${DIRECTORY_NAME[imageClass]}`;
}

/** The local object itself: the file of a raw image, the directory of one that is a tree. */
export function imagePath(directory: string, type: ImageType, local: string): string {
  return isTree(type) ? `${directory}/${local}` : `${directory}/${local}.raw`;
}
