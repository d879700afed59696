import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { formatAsciicast, parseAsciicast } from './boot-picture-recording.ts';
import { drawBoot } from './boot-picture-svg.ts';

const RECORDING = path.join(import.meta.dir, 'boot-picture.cast');
const PICTURE = path.join(import.meta.dir, 'boot-picture.svg');

const { values } = parseArgs({ options: { render: { type: 'boolean', default: false } } });
if (!values.render) {
  const { recordBoot } = await import('./boot-picture-boot.ts');
  fs.writeFileSync(RECORDING, formatAsciicast(await recordBoot(), 'rdpull: UEFI HTTP boot'));
}
const picture = await drawBoot(parseAsciicast(fs.readFileSync(RECORDING, 'utf8')));
fs.writeFileSync(PICTURE, picture);
console.log(`${PICTURE}: ${(picture.length / 1000).toFixed(1)} kB`);
