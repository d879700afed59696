import fs from 'node:fs';
import path from 'node:path';
import type { InitrdFile } from './initrd.ts';
import type { RootTree } from './root-tree.ts';
import { inToolbox, toolbox } from './toolbox.ts';

export const POLICY = 'systemd.image_policy=root=signed';

/**
 * systemd 262 sets a root up without its signature when the kernel does not know the key. This is what makes the kernel
 * insist, and lets it be told the key (.dm-verity, Linux 7.0).
 */
export const INSIST = 'dm_verity.require_signatures=1 dm_verity.keyring_unsealed=1';

/** A key, and the certificate for it. */
export interface Signatory {
  /** The name of its file. */
  readonly key: string;
  /** The certificate, DER. */
  readonly der: Buffer;
}

/** Makes a key and a self-signed certificate `name`.key and `name`.crt in a directory. */
export async function makeSignatory(directory: string, name: string): Promise<Signatory> {
  const script = `cd /shared
openssl req -x509 -newkey rsa:2048 -noenc -days 3650 -subj "/CN=$1" -keyout "$1.key" -out "$1.crt" 2>/dev/null
openssl x509 -in "$1.crt" -outform DER -out "$1.der"`;
  await inToolbox('forky', directory, script, [name]);
  return { key: `${name}.key`, der: fs.readFileSync(path.join(directory, `${name}.der`)) };
}

/** For systemd-repart; the tree of the root comes to the first. */
const PARTITIONS = {
  '10-root.conf': 'Type=root\nFormat=erofs\nVerity=data\nVerityMatchKey=root\nMinimize=best\n',
  '20-verity.conf': 'Type=root-verity\nVerity=hash\nVerityMatchKey=root\nMinimize=best\n',
  '30-signature.conf': 'Type=root-verity-sig\nVerity=signature\nVerityMatchKey=root\n',
};

/**
 * Makes a disk image with systemd-repart: a root with dm-verity, and the signature of its root hash.
 *
 * @param file lies in the directory of the tree and the signatory
 */
export async function makeVerityDisk(tree: RootTree, { key }: Signatory, file: string): Promise<void> {
  const directory = path.dirname(file);
  const definitions = path.join(directory, 'repart.d');
  fs.mkdirSync(definitions, { recursive: true });
  for (const [name, settings] of Object.entries(PARTITIONS))
    fs.writeFileSync(path.join(definitions, name), `[Partition]\n${settings}`);
  fs.appendFileSync(
    path.join(definitions, '10-root.conf'),
    `CopyFiles=/shared/${path.basename(tree.directory)}:/\n`,
  );
  const script = `systemd-repart --empty=create --size=auto --dry-run=no --offline=yes --definitions=/shared/repart.d \
    --private-key="/shared/$1" --certificate="/shared/$2" "/shared/$3"`;
  await inToolbox('forky', directory, script, [key, key.replace(/key$/, 'crt'), path.basename(file)]);
}

/** Flips one bit where a text is in a file for the first time. */
export function flipBit(file: string, text: string): void {
  const content = fs.readFileSync(file);
  const position = content.indexOf(text);
  if (position < 0) throw new Error(`${file} does not contain "${text}"`);
  content[position] = content.readUInt8(position) ^ 1;
  fs.writeFileSync(file, content);
}

/** What tells the kernel a key before the root is set up, and then no more. */
const DROP_IN = `[Service]
ExecStartPre=modprobe dm-verity
ExecStartPre=sh -c 'keyctl padd asymmetric builder %%:.dm-verity </etc/verity.d/builder.der'
ExecStartPre=keyctl restrict_keyring %%:.dm-verity
`;

/** Files for an initrd whose kernel trusts the key of a certificate. */
export async function trusting({ der }: Signatory): Promise<Record<string, InitrdFile>> {
  const tree = await toolbox('forky');
  const library = 'usr/lib/x86_64-linux-gnu/libkeyutils.so.1';
  return {
    'etc/verity.d/builder.der': { content: der },
    'etc/systemd/system/systemd-veritysetup@root.service.d/key.conf': { content: DROP_IN },
    'usr/bin/keyctl': { content: fs.readFileSync(path.join(tree, 'usr/bin/keyctl')), mode: 0o755 },
    [library]: { content: fs.readFileSync(path.join(tree, library)) },
  };
}
