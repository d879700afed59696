import fs from 'node:fs';
import path from 'node:path';
import { type Suite, suiteTreeCommand } from '../fixtures/suite-tree.ts';
import { CHECKOUT } from './scratch.ts';
import { tool } from './tool.ts';

const trees = new Map<Suite, Promise<string>>();

/** The tree of a suite, in which there are its systemd, dracut and kernel. It is made when it is not there. */
export function toolbox(suite: Suite): Promise<string> {
  const tree =
    trees.get(suite) ??
    tool([path.join(CHECKOUT, 'scripts/toolbox'), suite]).then((output) => output.trimEnd());
  trees.set(suite, tree);
  return tree;
}

/** The kernel of a suite, and its release. */
export async function kernel(suite: Suite): Promise<{ readonly file: string; readonly release: string }> {
  const boot = path.join(await toolbox(suite), 'boot');
  const name = fs
    .readdirSync(boot)
    .filter((file) => file.startsWith('vmlinuz-'))
    .sort()
    .at(-1);
  if (name === undefined) throw new Error(`there is no kernel in ${boot}`);
  return { file: path.join(boot, name), release: name.slice('vmlinuz-'.length) };
}

/** As {@link suiteTreeCommand}, while other scenarios go on. `/shared` is `directory`. */
export async function inToolbox(
  suite: Suite,
  directory: string,
  script: string,
  args: readonly string[] = [],
): Promise<string> {
  return await tool(suiteTreeCommand(await toolbox(suite), directory, script, args));
}
