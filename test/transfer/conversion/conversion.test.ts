import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { DEFAULT_LIMITS } from '../../../src/transfer/limits.ts';
import { imageOf } from '../../blocks/mapped-image.ts';
import { convertedByQemu, QCOW2_KINDS, qcow2Of, writtenQcow2 } from '../../blocks/qcow2-images.ts';
import { rdpull } from '../../fixtures/executable.ts';
import { noiseOf } from '../../fixtures/noise.ts';
import { run } from '../../fixtures/run.ts';
import { type Machine, onSmallMachine, withoutBlocks } from '../../fixtures/small-machine.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';
import { startWebServer, type WebServer } from '../../fixtures/web-server.ts';
import { SeededRandom } from '../../request/seeded-random.ts';
import { sha256, transferOf } from '../transfer-run.ts';

const MIB = 1024 * 1024;
const served = new TemporaryDirectory();
let server: WebServer;
let raw: string;
let image: Buffer;

beforeAll(() => {
  image = imageOf(new SeededRandom(20_261_128), 8 * MIB + 512);
  raw = served.write('image.raw', image);
  fs.copyFileSync(qcow2Of(served, raw, '', '-c'), served.file('image.qcow2'));
  server = startWebServer(served.path);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  served[Symbol.dispose]();
});

const url = (file: string) => `file://${file}`;

describe('a qcow2 image becomes what QEMU makes of it:', () => {
  test.each(QCOW2_KINDS)('%s', async (_, make) => {
    const file = make(served, raw);
    const { result, image, error, said } = await transferOf(url(file), { tellsDigest: true });
    expect({ error, said }).toEqual({ error: undefined, said: [] });
    expect(image?.equals(convertedByQemu(served, file))).toBe(true);
    const bytes = fs.readFileSync(file);
    // What is told of the file is that of the bytes as served.
    expect(result).toMatchObject({
      format: 'qcow2',
      received: bytes.length,
      decoded: image?.length,
      sha256: sha256(bytes),
    });
  });

  test.each(['xz', 'gzip', 'bzip2', 'zstd'])('packed with %s', async (program) => {
    const packed = served.write(
      'packed',
      run([program, '-c'], { input: fs.readFileSync(served.file('image.qcow2')) }),
    );
    const { result, image: made } = await transferOf(url(packed));
    expect(made?.equals(image)).toBe(true);
    expect(result).toMatchObject({ format: 'qcow2', compression: program, decoded: image.length });
  });

  test('from a server, whatever it is called', async () => {
    fs.copyFileSync(served.file('image.qcow2'), served.file('called.raw'));
    for (const name of ['image.qcow2', 'called.raw']) {
      expect((await transferOf(`${server.url}/${name}`)).image?.equals(image)).toBe(true);
    }
  });
});

test('a person is told what is going on, and a script what it was', async () => {
  using target = new TemporaryDirectory();
  const pulled = await rdpull([
    'pull',
    '--verify=no',
    '--json',
    `--image-root=${target.path}`,
    `${server.url}/image.qcow2`,
  ]);
  const { result, image: made } = await transferOf(url(served.file('image.qcow2')), { tellsDigest: true });
  expect(made?.length).toBe(image.length);
  expect(JSON.parse(pulled.stdout)).toMatchObject({
    target: target.file('image.raw'),
    format: 'qcow2',
    compression: 'none',
    decoded: image.length,
    sha256: result?.sha256,
  });
  expect(pulled.stderr.split('\n')).toContain('rdpull: converting the qcow2 image to a raw one of 8.0 MiB');
  expect(pulled.stderr).toMatch(/ of qcow2 received, 8\.0 MiB written in /);
});

test('an image that is not qcow2 stays what it is', async () => {
  const { result, image: made } = await transferOf(url(raw));
  expect(result?.format).toBe('raw');
  expect(made?.equals(image)).toBe(true);
});

test('holes stay holes', async () => {
  const sparse = writtenQcow2(served, '10G', '', ['write -P 1 1G 1M', 'write -P 0 2G 1M', 'write -z 3G 64k']);
  const { status, files } = await onSmallMachine(
    { available: 400, mount: 'mount -t tmpfs -o size=100m tmpfs "$run"', initrd: false },
    `$rdpull pull --verify=no --image-root=$target --local=sparse ${url(sparse)}`,
  );
  expect(status).toBe(0);
  expect(files).toEqual([`machines/sparse.raw ${10 * 1024 * MIB} ${MIB / 512}`]);
});

describe('what is not vouched for is not converted:', () => {
  test('another digest', async () => {
    let converted = false;
    const { error } = await transferOf(url(served.file('image.qcow2')), {
      verify: { kind: 'sha256', digest: '0'.repeat(64) },
      converting: () => {
        converted = true;
      },
    });
    expect(error?.code).toBe('checksum-mismatch');
    expect(converted).toBe(false);
  });

  test('the digest is that of the qcow2 image', async () => {
    const file = served.file('image.qcow2');
    const { image: made } = await transferOf(url(file), {
      verify: { kind: 'sha256', digest: sha256(fs.readFileSync(file)) },
    });
    expect(made?.equals(image)).toBe(true);
  });
});

describe('what cannot become an image is refused before it is downloaded:', () => {
  /** What is made of a file behind which there is much more. */
  async function refused(name: string, file: Buffer) {
    const more = Buffer.alloc(MIB, 'more');
    let sent = 0;
    await using endless = startWebServer(served.path, (request) => {
      if (request.headers.has('range')) return new Response(null, { status: 404 });
      return new Response(
        new ReadableStream({
          async pull(controller) {
            controller.enqueue(sent === 0 ? file : more);
            sent += sent === 0 ? file.length : more.length;
            await Bun.sleep(10);
          },
        }),
      );
    });
    const { error } = await transferOf(`${endless.url}/${name}`);
    expect(sent).toBeLessThan(64 * MIB);
    return error;
  }
  const bomb = (size: string) => fs.readFileSync(writtenQcow2(served, size, 'cluster_size=2M', []));

  test.each(['none', 'xz', 'zstd', 'gzip'])('1 PiB in 200 KB (%s)', async (program) => {
    const file = bomb('1P').subarray(0, 200_000);
    const whole = Buffer.concat([file, imageOf(new SeededRandom(4), 4 * MIB)]);
    const packed = program === 'none' ? whole : run([program, '-c', '-1'], { input: whole });
    const error = await refused('bomb', packed);
    expect(error?.code).toBe('limit-exceeded');
    expect(error?.message).toContain(
      'the file is 1024 TiB (1125899906842624 bytes) or more after decompression, and 16.0 TiB',
    );
    expect(error?.hint).toContain('--limit=size=VALUE');
  });

  test('a backing file', async () => {
    const overlay = served.file('overlay.qcow2');
    run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', raw, '-F', 'raw', overlay]);
    const error = await refused('overlay.qcow2', fs.readFileSync(overlay));
    expect(error).toMatchObject({
      code: 'stream-unsupported',
      message: expect.stringContaining('/overlay.qcow2: the qcow2 image has a backing file'),
    });
  });

  test('a size that is too many times that of the file', async () => {
    const { error } = await transferOf(url(writtenQcow2(served, '10T', 'cluster_size=2M', [])));
    expect(error?.code).toBe('limit-exceeded');
    expect(error?.message).toContain('and 50000 times as much is allowed');
    expect(error?.hint).toContain('--limit=ratio=VALUE');
  });
});

test('too many times larger is refused when it is packed, too', async () => {
  const packed = served.write(
    'packed.xz',
    run(['xz', '-c'], { input: fs.readFileSync(writtenQcow2(served, '10T', 'cluster_size=2M', [])) }),
  );
  const { error } = await transferOf(url(packed));
  expect(error?.code).toBe('limit-exceeded');
  const { error: none, image: made } = await transferOf(url(served.file('image.qcow2')), {
    limits: { ...DEFAULT_LIMITS, size: image.length },
  });
  expect(none).toBeUndefined();
  expect(made?.length).toBe(image.length);
});

test('one that turns out to be damaged leaves nothing behind', async () => {
  const file = fs.readFileSync(qcow2Of(served, raw, '', '-c'));
  file.fill(0xff, file.length / 2, file.length / 2 + 100_000);
  const { error } = await transferOf(url(served.write('damaged.qcow2', file)));
  expect(error?.code).toBe('stream-corrupt');
  expect(error?.message).toContain('damaged.qcow2: ');
});

test('one that is a tarball on the command line is no tarball', async () => {
  const { error } = await transferOf(url(served.file('image.qcow2')), { type: 'tar' });
  expect(error?.message).toEndWith(': the file is a disk image (qcow2), not a tarball');
});

test('a signal ends it, and leaves nothing behind', async () => {
  const controller = new AbortController();
  const reason = new Error('SIGTERM');
  const ended = transferOf(url(served.file('image.qcow2')), {
    signal: controller.signal,
    converting: () => controller.abort(reason),
  });
  await expect(ended).rejects.toBe(reason);
});

/** 28 MiB of its RAM are for images. */
const SMALL: Machine = { available: 220, mount: 'mount -t tmpfs -o size=4m tmpfs "$run"', initrd: true };
const pull = (file: string, ...options: string[]) =>
  `$rdpull pull --verify=no --image-root=$target --local=image ${options.join(' ')} ${url(file)}`;
const noise = (size: number) => served.write('noise.raw', noiseOf(size));

describe('on a machine with little RAM', () => {
  test('an image is converted that fits, but not beside the qcow2 image', async () => {
    const file = qcow2Of(served, noise(20 * MIB), '');
    const { status, stderr, files, total } = await onSmallMachine(SMALL, pull(file));
    expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringContaining('20.0 MiB written') });
    expect(files.map(withoutBlocks)).toEqual([`machines/image.raw ${20 * MIB}`]);
    expect(total).toBe(24 * MIB);
  });

  test('where the clusters are not in order, both have to fit', async () => {
    const file = writtenQcow2(served, '20M', '', ['write -P 1 10M 10M', 'write -P 2 0 10M']);
    const { status, stderr, files } = await onSmallMachine(SMALL, pull(file));
    expect(status).toBe(14);
    expect(stderr).toContain('the image is 20.0 MiB after decompression, and this machine has RAM for');
    expect(files).toEqual([]);
    const { status: with28, files: made } = await onSmallMachine({ ...SMALL, available: 240 }, pull(file));
    expect(with28).toBe(0);
    expect(made.map(withoutBlocks)).toEqual([`machines/image.raw ${20 * MIB}`]);
  });

  test('an image that is mostly holes is converted', async () => {
    const file = writtenQcow2(served, '5G', '', ['write -P 1 3G 5M']);
    const { status, files } = await onSmallMachine(SMALL, pull(file));
    expect(status).toBe(0);
    expect(files).toEqual([`machines/image.raw ${5 * 1024 * MIB} ${(5 * MIB) / 512}`]);
  });

  test('what its tables say is too much is refused before it is downloaded', async () => {
    const file = qcow2Of(served, served.write('text.raw', Buffer.alloc(40 * MIB, 'root:x:0:0\n')), '', '-c');
    expect(fs.statSync(file).size).toBeLessThan(2 * MIB);
    const { status, stderr } = await onSmallMachine(SMALL, pull(file));
    expect(status).toBe(14);
    expect(stderr).toContain(
      'the image is 40.0 MiB after decompression, and this machine has RAM for 28.0 MiB',
    );
    expect(stderr).not.toContain('converting');
    expect(stderr).not.toContain('pulling');
  });

  test('packed, that is known when it is there', async () => {
    const file = qcow2Of(served, served.write('text.raw', Buffer.alloc(40 * MIB, 'root:x:0:0\n')), '', '-c');
    run(['gzip', '-kf', file]);
    const { status, stderr, files, total } = await onSmallMachine(SMALL, pull(`${file}.gz`));
    expect({ status, files, total }).toEqual({ status: 14, files: [], total: 4 * MIB });
    expect(stderr).toContain('the image is 40.0 MiB after decompression, and this machine has RAM for');
    expect(stderr).toContain('pulling');
    expect(stderr).not.toContain('converting');
  });
});
