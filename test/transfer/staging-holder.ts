import fs from 'node:fs';
import { Staging } from '../../src/transfer/staging.ts';

/* Begins to make the target that is its argument, prints where, and goes on until it is killed. */

const staging = await Staging.open(process.argv[2] ?? '', { replace: true, tell: () => undefined });
fs.writeFileSync(staging.path, 'half');
console.log(staging.path);
setTimeout(() => staging[Symbol.dispose](), 60_000);
