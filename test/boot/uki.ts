import fs from 'node:fs';
import path from 'node:path';
import type { Suite } from '../fixtures/suite-tree.ts';
import { inToolbox, kernel, toolbox } from './toolbox.ts';

/** What a UKI is made of. */
export interface Uki {
  readonly initrd: string;
  readonly commandLine: string;
  /** Whose systemd-stub; by default the newest. */
  readonly stub?: Suite;
}

const STUB = 'usr/lib/systemd/boot/efi/linuxx64.efi.stub';

/** Makes a UKI. `file` lies beside the initrd. systemd-stub of 258 and later leaves the boot URL in an EFI variable. */
export async function makeUki({ initrd, commandLine, stub = 'forky' }: Uki, file: string): Promise<void> {
  const { release } = await kernel('forky');
  const stubCopy = `${file}.stub`;
  fs.copyFileSync(path.join(await toolbox(stub), STUB), stubCopy);
  const script = `
ukify build --linux "/boot/vmlinuz-$1" --initrd "/shared/$2" --cmdline "$3" --uname "$1" --stub "/shared/$4.stub" \
  --output "/shared/$4" >&2`;
  if (path.dirname(initrd) !== path.dirname(file)) throw new Error('a UKI is made beside its initrd');
  await inToolbox('forky', path.dirname(file), script, [
    release,
    path.basename(initrd),
    commandLine,
    path.basename(file),
  ]);
}
