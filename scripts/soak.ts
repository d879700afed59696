import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { largeImage } from '../test/fixtures/large-image.ts';
import { startNginx } from '../test/fixtures/nginx.ts';
import { run } from '../test/fixtures/run.ts';
import { TemporaryDirectory } from '../test/fixtures/temporary-directory.ts';
import {
  growth,
  type Leftovers,
  pullAgainAndAgain,
  pullWatched,
  type Sample,
  transferAgainAndAgain,
} from './soak-runs.ts';

const HELP = `Usage: scripts/soak [--rounds=N]

Prints what many runs of rdpull leave behind (nothing), and how memory and open descriptors develop in a long one and
in many transfers within one process (they do not). Ends with 1 where one of that is not so.

  --rounds=N   pulls, and transfers within one process (default: 200)`;

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
/** What a resident set may grow by and still be called flat: what collectors of garbage leave for later. */
const FLAT = 16 * MIB;

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '200' }, help: { type: 'boolean', default: false } },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const rounds = Number(values.rounds);
const executable = path.resolve(import.meta.dir, '../dist/rdpull');
let failures = 0;

function table(rows: readonly (readonly (string | number)[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => String(row[column]).length)),
  );
  return rows
    .map((row) => row.map((cell, column) => String(cell).padStart(widths[column] ?? 0)).join('  '))
    .join('\n');
}

function verdict(what: string, holds: boolean): void {
  if (!holds) failures++;
  console.log(`${holds ? 'holds' : 'DOES NOT HOLD'}: ${what}\n`);
}

const mib = (bytes: number) => (bytes / MIB).toFixed(1);

function sampleRows(samples: readonly Sample[], unit: string, most = 12): (string | number)[][] {
  const step = Math.max(1, Math.floor(samples.length / most));
  return [
    [unit, 'RSS MiB', 'of it anonymous', 'descriptors'],
    ...samples
      .filter((_, index) => index % step === 0 || index === samples.length - 1)
      .map(({ at, resident, anonymous, descriptors }) => [
        at.toFixed(0),
        mib(resident),
        mib(anonymous),
        descriptors,
      ]),
  ];
}

function requireFlat(samples: readonly Sample[]): void {
  const [memory, descriptors] = [growth(samples, 'resident'), growth(samples, 'descriptors')];
  verdict(
    `the last quarter has ${mib(memory)} MiB and ${descriptors.toFixed(2)} descriptors more than the second`,
    memory < FLAT && descriptors < 1,
  );
}

using work = new TemporaryDirectory();
const served = work.file('served');
fs.mkdirSync(work.file('served/tree/usr'), { recursive: true });
for (let file = 0; file < 200; file++) work.write(`served/tree/usr/${file}`, String(file).repeat(3000));
run(['tar', '-cJf', `${served}/tree.tar.xz`, '-C', `${served}/tree`, '.']);
run(['truncate', '-s', '64M', `${served}/image.raw`]);
run([
  'sgdisk',
  '-n',
  '1:0:+2M',
  '-n',
  `2:0:0`,
  '-t',
  `2:${process.arch === 'arm64' ? '8305' : '8304'}`,
  `${served}/image.raw`,
]);
run([
  'dd',
  'if=/dev/urandom',
  `of=${served}/image.raw`,
  'bs=1M',
  'seek=20',
  'count=4',
  'conv=notrunc',
  'status=none',
]);
run(['xz', '-1', `${served}/image.raw`]);

{
  console.log(
    `${rounds} pulls in a row into one directory, every other one a tarball; each attached or mounted`,
  );
  await using server = await startNginx(served);
  const found: [number, Leftovers][] = [];
  await pullAgainAndAgain(
    {
      executable,
      url: server.url,
      directory: work.file('many'),
      rounds,
      every: Math.max(1, Math.floor(rounds / 10)),
    },
    (round, leftovers) => void found.push([round, leftovers]),
  );
  console.log(
    table([
      [
        'round',
        'other files',
        'loop devices',
        'mounts',
        'loop-refs',
        'in /dev/shm, /tmp',
        'open files of the machine',
      ],
      ...found.map(([round, { files, loopDevices, mounts, loopRefs, shared, openFiles }]) => [
        round,
        files,
        loopDevices,
        mounts,
        loopRefs,
        shared,
        openFiles,
      ]),
    ]),
  );
  const before = found[0]?.[1].shared ?? 0;
  verdict(
    'nothing is left behind',
    found.every(
      ([, { files, loopDevices, mounts, loopRefs, shared }]) =>
        files + loopDevices + mounts + loopRefs === 0 && shared <= before,
    ),
  );
}

{
  console.log(`${rounds} transfers in one process`);
  await using server = await startNginx(served);
  const samples = await transferAgainAndAgain(`${server.url}/image.raw.xz`, work.path, rounds);
  console.log(table(sampleRows(samples, 'transfer')));
  requireFlat(samples);
}

const size = 4 * GIB;
const image = await largeImage(
  'four-gib.raw',
  { size, noise: 64 * MIB },
  {
    xz: ['xz', '-T0', '--block-size=24MiB', '--lzma2=preset=6,mode=fast,mf=hc3,nice=273'],
    zst: ['zstd', '-3', '-T0'],
  },
);
for (const suffix of ['xz', 'zst']) {
  // Streams and frames may follow each other.
  const name = `sixteen-gib.raw.${suffix}`;
  run(['sh', '-c', `cat ${Array(4).fill(`${image}.${suffix}`).join(' ')} > ${served}/${name}`]);
  console.log(`one pull of a sparse image of 16 GiB, ${name}`);
  await using server = await startNginx(served);
  const samples = await pullWatched(
    executable,
    [
      'pull',
      '--verify=no',
      '--quiet',
      '--overcommit',
      `--image-root=${work.file('large')}`,
      `${server.url}/${name}`,
    ],
    250,
  );
  console.log(table(sampleRows(samples, 'ms')));
  const pulled = fs.statSync(work.file('large/sixteen-gib.raw'));
  verdict('it is complete and sparse', pulled.size === 4 * size && pulled.blocks * 512 < 300 * MIB);
  requireFlat(samples);
  fs.rmSync(work.file('large'), { recursive: true });
}
process.exitCode = failures === 0 ? 0 : 1;
