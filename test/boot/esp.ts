import fs from 'node:fs';
import path from 'node:path';
import { tool } from './tool.ts';
import { inToolbox } from './toolbox.ts';

/**
 * Makes an EFI system partition.
 *
 * @param content what is in it, by the paths there: other files
 * @param size MiB
 */
export async function makeEsp(
  file: string,
  content: Readonly<Record<string, string>>,
  size = 256,
): Promise<void> {
  const tree = `${file}.tree`;
  for (const [name, source] of Object.entries(content)) {
    fs.mkdirSync(path.join(tree, path.dirname(name)), { recursive: true });
    fs.copyFileSync(source, path.join(tree, name));
  }
  const script = `
cd /shared
truncate --size="$2M" "$1"
mkfs.vfat "$1" >&2
mcopy -s -i "$1" "$1.tree"/* ::`;
  await inToolbox('forky', path.dirname(file), script, [path.basename(file), String(size)]);
  fs.rmSync(tree, { recursive: true });
}

/** As {@link makeEsp}, but a whole disk: a GPT, and in it nothing else. */
export async function makeEspDisk(file: string, content: Readonly<Record<string, string>>): Promise<void> {
  const partition = `${file}.partition`;
  await makeEsp(partition, content);
  await tool(['truncate', '--size=258M', file]);
  await tool(['sfdisk', '--quiet', file], 'label: gpt\nstart=2048, size=256M, type=U, name=esp\n');
  const copy = ['bs=1M', 'seek=1', 'conv=notrunc,sparse', 'status=none'];
  await tool(['dd', `if=${partition}`, `of=${file}`, ...copy]);
  fs.rmSync(partition);
}
