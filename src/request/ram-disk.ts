import type { ImageClass, ImageType } from './image-class.ts';

/** Why such an image is not looked for in memory, as a clause; undefined when it can be there. */
export function ramDiskDefect(type: ImageType, imageClass: ImageClass): string | undefined {
  if (type !== 'raw') return 'what the firmware leaves in memory is a disk image';
  // What merges them looks for a file.
  if (imageClass !== 'machine') return `it is for images of the class machine, and not ${imageClass}`;
  return undefined;
}
