/** How an image is packed: one file of disk blocks, or a tarball of a directory tree. */
export type ImageType = 'raw' | 'tar';

export const IMAGE_TYPES: readonly ImageType[] = ['raw', 'tar'];

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

/** The local object itself: the file of a raw image, the directory of a tar image. */
export function imagePath(directory: string, type: ImageType, local: string): string {
  return type === 'raw' ? `${directory}/${local}.raw` : `${directory}/${local}`;
}
