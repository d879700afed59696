import fs from 'node:fs';
import { GpgHome } from '../fixtures/gpg.ts';
import { makeDisk, pack } from './image.ts';
import type { Lab } from './lab.ts';
import { makeRootTree, type RootTree } from './root-tree.ts';

export interface SignedSite extends Disposable {
  readonly tree: RootTree;
  readonly gpg: GpgHome;
  /** With the key of who has signed. */
  readonly keyring: Buffer;
}

/**
 * Makes `root.raw.xz`, SHA256SUMS and its signature, and has them served.
 *
 * @param at when the key and the signature are made; now by default
 * @param more shell commands for the init of the root
 */
export async function signedSite(
  lab: Lab,
  { at, more = '' }: { readonly at?: Date; readonly more?: string } = {},
): Promise<SignedSite> {
  const tree = await makeRootTree(lab.file('tree'), more);
  await makeDisk(tree, 'ext4', `${lab.served}/root.raw`);
  const packed = await pack(`${lab.served}/root.raw`, 'xz');
  const digest = new Bun.CryptoHasher('sha256').update(fs.readFileSync(packed)).digest('hex');
  const sums = `${digest}  root.raw.xz\n`;
  const gpg = new GpgHome();
  const key = gpg.generateKey('Builder <builder@example.com>', { at });
  fs.writeFileSync(`${lab.served}/SHA256SUMS`, sums);
  fs.writeFileSync(`${lab.served}/SHA256SUMS.gpg`, gpg.sign(sums, { by: key, armor: false, at }));
  return { tree, gpg, keyring: gpg.exportKeys([key]), [Symbol.dispose]: () => gpg[Symbol.dispose]() };
}
