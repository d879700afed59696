/** Writes the completions for bash, zsh and fish into dist/completions/, under the names by which the shells find them. */
import fs from 'node:fs';
import path from 'node:path';
import { bashCompletion } from './completion-bash.ts';
import { fishCompletion } from './completion-fish.ts';
import { zshCompletion } from './completion-zsh.ts';

const DIRECTORY = path.resolve(import.meta.dir, '../dist/completions');

fs.mkdirSync(DIRECTORY, { recursive: true });
fs.writeFileSync(path.join(DIRECTORY, 'rdpull'), bashCompletion());
fs.writeFileSync(path.join(DIRECTORY, '_rdpull'), zshCompletion());
fs.writeFileSync(path.join(DIRECTORY, 'rdpull.fish'), fishCompletion());
