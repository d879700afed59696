import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { RdpullError } from '../../../src/console/rdpull-error.ts';
import { formatDigest } from '../../../src/request/content-digest.ts';
import {
  type ImageTransfer,
  type ImageTransferResult,
  runImageTransfer,
} from '../../../src/transfer/layers/image-transfer.ts';
import { DEFAULT_LIMITS } from '../../../src/transfer/limits.ts';
import { DEFAULT_MEMORY } from '../../../src/transfer/pipeline/memory.ts';
import { noiseOf } from '../../fixtures/noise.ts';
import type { LayoutLayer } from '../../fixtures/oci-layout.ts';
import { run } from '../../fixtures/run.ts';
import { directory, file, listTree, makeTreeDirectory, tarArchive, tarMember } from '../../fixtures/tar.ts';
import { unpackWithUmoci } from '../sink/layers/layer-tree.ts';
import {
  namesIn,
  type ServedImage,
  serveLayers,
  sessionFor,
  targetIn,
  type WatchedSession,
} from './layout-session.ts';

let base: string;
let count = 0;
beforeAll(() => {
  base = makeTreeDirectory();
});
afterAll(() => fs.rmSync(base, { recursive: true, force: true }));

function scratch(): string {
  const made = path.join(base, `${count++}`);
  fs.mkdirSync(made);
  return made;
}

const root = tarMember({ name: './', type: '5', mode: 0o755, mtime: 1_000_000_000 });
const packed = (archive: Uint8Array, program: 'gzip' | 'zstd'): LayoutLayer => ({
  archive,
  blob: run([program, '-c'], { input: archive }),
  compression: program,
});
let made = 0;
const noise = (bytes: number) => noiseOf(bytes, made++);

/** Three layers, each compressed in another way; the last takes something back. */
function layersOfAnImage(): LayoutLayer[] {
  const many = Array.from({ length: 40 }, (_, index) => tarMember({ name: `usr/${index}` }, noise(9000)));
  return [
    packed(tarArchive(root, directory('usr'), ...many), 'gzip'),
    packed(tarArchive(directory('etc'), file('etc/hostname', 'one')), 'zstd'),
    { archive: tarArchive(file('usr/.wh.7', ''), file('etc/hostname', 'two')) },
  ];
}

interface Outcome {
  readonly result: ImageTransferResult | undefined;
  readonly error: RdpullError | undefined;
  readonly session: WatchedSession | undefined;
  readonly warnings: readonly string[];
}

interface Pull extends Partial<ImageTransfer> {
  readonly served: ServedImage;
  readonly pace?: (digest: string, at: number) => Promise<void> | undefined;
  readonly signal?: AbortSignal;
  readonly progress?: (received: number) => void;
}

async function pull(place: string, { served, pace, signal, progress, ...transfer }: Pull): Promise<Outcome> {
  const warnings: string[] = [];
  let session: WatchedSession | undefined;
  const openSession = (ended: AbortSignal) => {
    session = sessionFor(served, ended, pace);
    return session;
  };
  const wanted = { openSession, target: targetIn(place), force: false, overcommit: false };
  try {
    const result = await runImageTransfer(
      { ...wanted, limits: DEFAULT_LIMITS, memory: DEFAULT_MEMORY, ...transfer },
      { signal: signal ?? new AbortController().signal },
      {
        started: () => undefined,
        progress: ({ received }) => progress?.(received),
        converting: () => undefined,
        warn: (text) => void warnings.push(text),
        explain: () => undefined,
      },
    );
    return { result, error: undefined, session, warnings };
  } catch (error) {
    if (!(error instanceof RdpullError)) throw error;
    return { result: undefined, error, session, warnings };
  }
}

describe('an image', () => {
  test('becomes the tree that umoci makes of it, whatever its layers are compressed with', async () => {
    const place = scratch();
    const layers = layersOfAnImage();
    const seen: number[] = [];
    const { result, warnings } = await pull(place, {
      served: serveLayers(layers),
      progress: (received) => void seen.push(received),
    });
    const theirs = unpackWithUmoci(
      layers.map(({ archive }) => archive),
      scratch(),
    );
    expect(listTree(targetIn(place))).toBe(listTree(theirs));
    expect(warnings).toEqual([]);
    const served = layers.reduce((sum, { archive, blob = archive }) => sum + blob.length, 0);
    expect(result?.received).toBe(served);
    expect(result?.decoded).toBe(layers.reduce((sum, { archive }) => sum + archive.length, 0));
    expect(result?.entries).toBe(46);
    expect(seen.at(-1)).toBe(served);
    expect(namesIn(place)).toEqual(['root']);
  });

  test('fetches its layers side by side, three at a time, and each blob once', async () => {
    const again = { archive: tarArchive(file('again', 'and again')) };
    const others = Array.from({ length: 5 }, (_, index) => ({ archive: tarArchive(file(`${index}`, 'x')) }));
    const between = { archive: tarArchive(file('.wh.again', '')) };
    const served = serveLayers([...others, again, between, again]);
    const [first = ''] = served.blobs.keys();
    let session: WatchedSession | undefined;
    const place = scratch();
    const { result } = await pull(place, {
      served,
      openSession: (signal) => {
        session = sessionFor(served, signal, (digest) => {
          // The first one waits for two more, who would never come if they had to wait for it.
          return digest === first ? until(() => session?.opened.length === 3) : undefined;
        });
        return session;
      },
    });
    expect(session?.most).toBe(3);
    expect(session?.opened).toEqual([...served.blobs.keys()]);
    expect(result?.entries).toBe(8);
    expect(namesIn(targetIn(place))).toEqual(['0', '1', '2', '3', '4', 'again']);
  });

  test('leaves layers alone that do not fit into a share of what is free', async () => {
    const place = scratch();
    run(['mount', '-t', 'tmpfs', '-o', 'size=7M', 'tmpfs', place]);
    try {
      const large = [0, 1, 2].map((index) => ({
        archive: tarArchive(tarMember({ name: `${index}` }, noise(1_900_000))),
      }));
      const { result, session } = await pull(place, { served: serveLayers(large) });
      expect(result?.entries).toBe(3);
      expect(session?.most).toBe(1);
    } finally {
      run(['umount', place]);
    }
  });

  test('takes the place of another one only when that was asked for, and nobody is asked before', async () => {
    const place = scratch();
    const served = serveLayers(layersOfAnImage());
    fs.mkdirSync(path.join(targetIn(place), 'old'), { recursive: true });
    const refused = await pull(place, { served });
    expect(refused.error?.code).toBe('target-exists');
    expect(refused.session).toBeUndefined();
    await pull(place, { served, force: true });
    expect(namesIn(targetIn(place))).toEqual(['etc', 'usr']);
    expect(namesIn(place)).toEqual(['root']);
  });
});

async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited++) {
    if (waited > 500) throw new Error('it did not happen');
    await Bun.sleep(10);
  }
}

describe('nothing is published', () => {
  /** Pulls what is served otherwise than it is described, and checks that nothing of it stays. */
  async function failure(change: (served: ServedImage) => ServedImage, more: Partial<Pull> = {}) {
    const place = scratch();
    const { error } = await pull(place, { served: change(serveLayers(layersOfAnImage())), ...more });
    expect(namesIn(place)).toEqual([]);
    if (error === undefined) throw new Error('it was published');
    return error;
  }

  const withLayer =
    (index: number, change: (layer: ServedImage['image']['layers'][number]) => object) =>
    ({ image, blobs }: ServedImage): ServedImage => ({
      blobs,
      image: {
        ...image,
        layers: image.layers.map((layer, place) =>
          place === index ? { ...layer, ...change(layer) } : layer,
        ),
      },
    });
  const withBlob =
    (index: number, change: (blob: Uint8Array) => Uint8Array) =>
    ({ image, blobs }: ServedImage): ServedImage => {
      const layer = image.layers[index];
      const digest = layer === undefined ? '' : formatDigest(layer.digest);
      return { image, blobs: new Map([...blobs, [digest, change(blobs.get(digest) ?? new Uint8Array())]]) };
    };

  test.each([0, 1, 2])('of an image with other bytes in layer %d', async (index) => {
    const { code, message } = await failure(
      withBlob(index, (blob) => blob.with(blob.length - 1, 1 + (blob.at(-1) ?? 0))),
    );
    // What a decoder says of them comes first.
    if (code === 'checksum-mismatch') {
      expect(message).toMatch(
        new RegExp(
          `^layer ${index + 1} of 3 of registry.example.com/os:1 is not what was promised: its \\d+ bytes have sha256:[0-9a-f]+, and the manifest names sha256:[0-9a-f]+$`,
        ),
      );
    } else {
      expect<string>(code).toBe('stream-corrupt');
      expect(message).toStartWith(`layer ${index + 1} of 3 of registry.example.com/os:1: `);
    }
  });

  test('of an image with a layer that is longer than the manifest says, or shorter', async () => {
    const longer = await failure(withBlob(2, (blob) => Buffer.concat([blob, Buffer.alloc(512)])));
    expect(longer.message).toContain(
      'is not what was promised: there are more than the 2560 bytes of the manifest',
    );
    const shorter = await failure(withBlob(2, (blob) => blob.subarray(0, 2048)));
    expect(shorter.code).toBe('checksum-mismatch');
    expect(shorter.message).toContain('2048 bytes came, and the manifest names 2560');
  });

  test.each([0, 1, 2])('of an image whose configuration has another diff id for layer %d', async (index) => {
    const { code, message } = await failure(
      withLayer(index, () => ({ diffId: { algorithm: 'sha256', hex: 'ab'.repeat(32) } })),
    );
    expect(code).toBe('checksum-mismatch');
    expect(message).toContain(
      `layer ${index + 1} of 3 of registry.example.com/os:1 is not what was promised: its tar`,
    );
    expect(message).toEndWith(`and the configuration names sha256:${'ab'.repeat(32)}`);
  });

  test('of an image whose configuration calls a compressed layer a tar archive', async () => {
    const { message } = await failure(withLayer(0, ({ digest }) => ({ diffId: digest })));
    expect(message).toContain('its tar archive is packed with gzip, and the configuration names');
  });

  test('of an image that a diff id of SHA-512 does not fit', async () => {
    const diffId = { algorithm: 'sha512', hex: 'cd'.repeat(64) };
    expect((await failure(withLayer(1, () => ({ diffId })))).message).toContain('has sha512:');
  });

  test('of layers that are too much together, though each may be', async () => {
    const size = await failure((served) => served, { limits: { ...DEFAULT_LIMITS, size: 395_000 } });
    expect(size.code).toBe('limit-exceeded');
    expect(size.message).toContain('after decompression');
    const entries = await failure((served) => served, { limits: { ...DEFAULT_LIMITS, entries: 45 } });
    expect(entries.message).toBe(
      'layer 3 of 3 of registry.example.com/os:1: the layers make more than 45 files and directories',
    );
    const download = await failure((served) => served, { limits: { ...DEFAULT_LIMITS, download: 100_000 } });
    expect(download.message).toContain('the server sends');
  });

  test('of an image without layers', async () => {
    const { message } = await failure(({ image, blobs }) => ({ image: { ...image, layers: [] }, blobs }));
    expect(message).toBe(
      'registry.example.com/os:1 has no layers: there is nothing that could become a tree',
    );
  });

  test('when a layer behind fails while the first one has not come', async () => {
    const served = withBlob(2, () => Buffer.alloc(2560))(serveLayers(layersOfAnImage()));
    const [first = ''] = served.blobs.keys();
    const place = scratch();
    let session: WatchedSession | undefined;
    const { error } = await pull(place, {
      served,
      openSession(signal) {
        const never = new Promise<void>((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        });
        never.catch(() => undefined);
        session = sessionFor(served, signal, (digest, at) =>
          digest === first && at > 0 ? never : undefined,
        );
        return session;
      },
    });
    expect(error?.code).toBe('checksum-mismatch');
    expect(error?.message).toContain('layer 3 of 3');
    expect(namesIn(place)).toEqual([]);
  });

  test('when it is interrupted', async () => {
    const controller = new AbortController();
    const place = scratch();
    const pulling = pull(place, {
      served: serveLayers(layersOfAnImage()),
      signal: controller.signal,
      progress: () => controller.abort(new Error('interrupted')),
    });
    expect(pulling).rejects.toThrow('interrupted');
    await pulling.catch(() => undefined);
    expect(namesIn(place)).toEqual([]);
  });

  test('when it would need more room than there is, and then no layer is fetched', async () => {
    const place = scratch();
    run(['mount', '-t', 'tmpfs', '-o', 'size=1M', 'tmpfs', place]);
    try {
      const large = { archive: tarArchive(tarMember({ name: 'x' }, noise(2_000_000))) };
      const { error, session } = await pull(place, { served: serveLayers([large]) });
      expect(error?.code).toBe('no-room');
      expect(session?.opened).toEqual([]);
    } finally {
      run(['umount', place]);
    }
  });
});
