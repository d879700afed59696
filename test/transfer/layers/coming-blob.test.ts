import { expect, test } from 'bun:test';
import { ComingBlob } from '../../../src/transfer/layers/coming-blob.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';
import { serveLayers, sessionFor } from './layout-session.ts';

/** Two pieces of the session's. */
const BYTES = Buffer.from(Uint8Array.from({ length: 20_000 }, (_, at) => at % 251));
const [LAYER] = serveLayers([{ archive: BYTES }]).image.layers;

/** Steps of the event loop that may lie between the first piece and its way into the store, and some more. */
const STEPS = 20;

test('all bytes are handed on, at whatever step of the first piece the last reader begins', async () => {
  for (let steps = 0; steps < STEPS; steps++) {
    using work = new TemporaryDirectory();
    const { signal } = new AbortController();
    const asked = Promise.withResolvers<void>();
    const first = Promise.withResolvers<void>();
    const session = sessionFor(serveLayers([{ archive: BYTES }]), signal, (_, at) => {
      if (at > 0) return undefined;
      asked.resolve();
      return first.promise;
    });
    if (LAYER === undefined) throw new Error('no layer');
    const options = { layer: LAYER, name: 'layer', uses: 1, path: work.file('blob'), session, signal };
    using blob = new ComingBlob({ ...options, received: () => undefined });
    const downloaded = blob.start();
    await asked.promise;

    first.resolve();
    for (let step = 0; step < steps; step++) await undefined;
    const parts: Buffer[] = [];
    await blob.read(async (bytes) => void parts.push(Buffer.from(bytes)));
    await downloaded;
    expect(Buffer.concat(parts).equals(BYTES)).toBe(true);
  }
});
