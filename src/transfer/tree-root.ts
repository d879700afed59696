import fs from 'node:fs';
import { storageError } from './sink/storage-error.ts';

/**
 * Makes the directory that a tree is unpacked into, with the attributes that it keeps when nothing says otherwise.
 *
 * @throws RdpullError of the storage family
 */
export function makeTreeRoot(path: string): void {
  try {
    fs.mkdirSync(path, { mode: 0o755 });
    // Whatever the umask is: others than root have to get through it.
    fs.chmodSync(path, 0o755);
  } catch (error) {
    throw storageError(path, 0, error);
  }
}
