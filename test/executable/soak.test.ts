import { afterAll, beforeAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import {
  growth,
  type Leftovers,
  pullAgainAndAgain,
  pullWatched,
  transferAgainAndAgain,
} from '../../scripts/soak-runs.ts';
import { RDPULL } from '../fixtures/executable.ts';
import { type Nginx, startNginx } from '../fixtures/nginx.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/* The short version of scripts/soak. */

const MIB = 1024 * 1024;
const work = new TemporaryDirectory();
let server: Nginx;

beforeAll(async () => {
  const served = work.file('served');
  fs.mkdirSync(`${served}/tree/etc`, { recursive: true });
  fs.writeFileSync(`${served}/tree/etc/os-release`, 'ID=test\n');
  run(['tar', '-cJf', `${served}/tree.tar.xz`, '-C', `${served}/tree`, '.']);
  run(['truncate', '-s', '16M', `${served}/image.raw`]);
  run([
    'sgdisk',
    '-n',
    '1:0:0',
    '-t',
    `1:${process.arch === 'arm64' ? '8305' : '8304'}`,
    `${served}/image.raw`,
  ]);
  run(['xz', '-0', `${served}/image.raw`]);
  run(['sh', '-c', `truncate -s 4G ${served}/large.raw; zstd -q --rm ${served}/large.raw`]);
  server = await startNginx(served);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  work[Symbol.dispose]();
});

test('pulls in a row leave nothing behind', async () => {
  const found: Leftovers[] = [];
  const directory = work.file('many');
  await pullAgainAndAgain(
    { executable: RDPULL, url: server.url, directory, rounds: 6, every: 2 },
    (_, leftovers) => void found.push(leftovers),
  );
  expect(found).toHaveLength(4);
  for (const { files, loopDevices, mounts, loopRefs } of found) {
    expect({ files, loopDevices, mounts, loopRefs }).toEqual({
      files: 0,
      loopDevices: 0,
      mounts: 0,
      loopRefs: 0,
    });
  }
});

test('transfers in one process open nothing that stays open, and keep no memory', async () => {
  const samples = await transferAgainAndAgain(`${server.url}/image.raw.xz`, work.path, 24);
  // One that stayed open each time would be twelve; a connection may just be closing.
  expect(growth(samples, 'descriptors')).toBeLessThan(4);
  expect(growth(samples, 'resident')).toBeLessThan(32 * MIB);
});

test('a long pull opens nothing that stays open', async () => {
  const args = [
    'pull',
    '--verify=no',
    '--quiet',
    `--image-root=${work.file('large')}`,
    `${server.url}/large.raw.zst`,
  ];
  const samples = await pullWatched(RDPULL, args, 20);
  expect(samples.length).toBeGreaterThan(3);
  expect(growth(samples, 'descriptors')).toBeLessThan(4);
  expect(Math.max(...samples.map(({ resident }) => resident))).toBeLessThan(200 * MIB);
});
