import path from 'node:path';
import { encodeLinkName } from '../request/device-link-name.ts';
import { realPath } from './image-file.ts';
import { type AttachedLoopDevice, attachLoopDevice, type LoopAttachRequest } from './loop-device.ts';
import { removeLoopRefFile, writeLoopRefFile } from './loop-ref-file.ts';

/**
 * Attaches an image so that every udev makes its links in /dev/disk/by-loop-ref.
 *
 * @throws RdpullError as {@link attachLoopDevice}
 */
export async function attachImage(request: LoopAttachRequest): Promise<AttachedLoopDevice> {
  const { path: image, loopRef = path.basename(image), warn = () => undefined } = request;
  const backingFile = realPath(image);
  writeLoopRefFile(backingFile, encodeLinkName(loopRef), warn);
  try {
    return await attachLoopDevice(request);
  } catch (error) {
    removeLoopRefFile(backingFile);
    throw error;
  }
}
