/** Writes the completions for bash, zsh and fish into dist/completions/, under the names by which the shells find them. */
import fs from 'node:fs';
import path from 'node:path';
import { bashCompletion } from './completion-bash.ts';
import { fishCompletion } from './completion-fish.ts';
import { COMPLETED_COMMANDS } from './completion-words.ts';
import { zshCompletion } from './completion-zsh.ts';

const DIRECTORY = path.resolve(import.meta.dir, '../dist/completions');

fs.mkdirSync(DIRECTORY, { recursive: true });
fs.writeFileSync(path.join(DIRECTORY, 'rdpull'), bashCompletion(COMPLETED_COMMANDS));
fs.writeFileSync(path.join(DIRECTORY, '_rdpull'), zshCompletion(COMPLETED_COMMANDS));
fs.writeFileSync(path.join(DIRECTORY, 'rdpull.fish'), fishCompletion(COMPLETED_COMMANDS));
