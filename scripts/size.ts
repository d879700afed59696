/** What rdpull adds to an initrd, at levels of zstd, and what of it is what: see scripts/size. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { buildFor } from './architecture.ts';
import { PT_LOAD, programHeaders } from './elf.ts';

/** mkosi's default and dracut's, and what mkosi/ and the documentation take. */
const LEVELS = [3, 15, 19] as const;
/** Packing takes a minute: figures are kept by what was packed. */
const KEPT = 'dist/size';
const BUILD = buildFor(process.argv[2]);
const MIB = 1024 * 1024;

/** elf.h */
const PF_X = 1;
const PF_W = 2;

/** The parts of the executable, which lie in this order. */
function parts(executable: Buffer) {
  const own = ownBegin(executable);
  const data = programHeaders(executable)
    .filter(({ type }) => type === PT_LOAD)
    .map(({ offset, fileSize, flags }) => ({ offset, end: offset + fileSize, flags }));
  const [code, written] = [data.find(({ flags }) => flags & PF_X), data.find(({ flags }) => flags & PF_W)];
  if (code === undefined || written === undefined)
    throw new Error(`${BUILD.executable} has no such segments`);
  return {
    'the machine code of Bun': executable.subarray(code.offset, code.end),
    'its constants': Buffer.concat([executable.subarray(0, code.offset), executable.subarray(code.end, own)]),
    'rdpull itself': executable.subarray(own),
  };
}

/** Bun's compiler appends the program to the segment that is written to, at the page behind what the runtime has there. */
function ownBegin(executable: Buffer): number {
  const written = (file: Buffer) => {
    const header = programHeaders(file).find(({ type, flags }) => type === PT_LOAD && flags & PF_W);
    if (header === undefined) throw new Error('there is no segment to write to');
    return header;
  };
  const runtime = written(fs.readFileSync(BUILD.runtime));
  const { offset, virtualAddress } = written(executable);
  const page = 4096;
  const end = Math.ceil((runtime.virtualAddress + runtime.memorySize) / page) * page;
  return offset + end - virtualAddress;
}

/** How many bytes zstd makes of a part. */
function packedSize(part: Buffer, level: number): number {
  const file = `${KEPT}/${new Bun.CryptoHasher('sha256').update(part).digest('hex').slice(0, 16)}.${level}`;
  if (!fs.existsSync(file)) {
    const { stdout, status } = spawnSync('zstd', [`-${level}`, '-T0', '-q', '-c'], {
      input: part,
      maxBuffer: Number.POSITIVE_INFINITY,
    });
    if (status !== 0) throw new Error('zstd has failed');
    fs.writeFileSync(`${file}.new`, `${stdout.length}\n`);
    fs.renameSync(`${file}.new`, file);
  }
  return Number(fs.readFileSync(file, 'utf8'));
}

fs.mkdirSync(KEPT, { recursive: true });
const executable = fs.readFileSync(BUILD.executable);
const split = Object.entries(parts(executable));
console.log(`unpacked: ${(executable.length / MIB).toFixed(1)} MiB`);
for (const level of LEVELS) {
  const packed = split.map(([name, part]) => ({ name, size: packedSize(part, level) / MIB }));
  const sum = packed.reduce((total, { size }) => total + size, 0);
  const list = packed.map(({ name, size }) => `${size.toFixed(2)} ${name}`).join(', ');
  console.log(`zstd -${level}: adds ${sum.toFixed(1)} MiB to an initrd: ${list}`);
}
