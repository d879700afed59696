import fs from 'node:fs';
import path from 'node:path';
import { inToolbox } from './toolbox.ts';

/**
 * Makes an EFI system partition of 256 MiB.
 *
 * @param content what is in it, by the paths there: other files
 */
export async function makeEsp(file: string, content: Readonly<Record<string, string>>): Promise<void> {
  const tree = `${file}.tree`;
  for (const [name, source] of Object.entries(content)) {
    fs.mkdirSync(path.join(tree, path.dirname(name)), { recursive: true });
    fs.copyFileSync(source, path.join(tree, name));
  }
  const script = `
cd /shared
truncate --size=256M "$1"
mkfs.vfat "$1" >&2
mcopy -s -i "$1" "$1.tree"/* ::`;
  await inToolbox('forky', path.dirname(file), script, [path.basename(file)]);
  fs.rmSync(tree, { recursive: true });
}
