import fs from 'node:fs';
import path from 'node:path';
import { openLayerSink } from '../../../../src/transfer/sink/layers/layer-sink.ts';
import { DEFAULT_TAR_LIMITS, type TarLimits } from '../../../../src/transfer/sink/tar/tar-limits.ts';
import { writeOciLayout } from '../../../fixtures/oci-layout.ts';
import { run } from '../../../fixtures/run.ts';

/** Applies layers, from the bottom up, to a new directory `target`. */
export function applyLayers(
  layers: readonly Uint8Array[],
  target: string,
  limits: Partial<TarLimits> = {},
): void {
  fs.mkdirSync(target, { recursive: true });
  let membersBelow = 0;
  for (const [index, archive] of layers.entries()) {
    const position = { index, isLast: index === layers.length - 1, membersBelow };
    const sink = openLayerSink(
      target,
      { isVouchedFor: true, limits: { ...DEFAULT_TAR_LIMITS, ...limits } },
      position,
      undefined,
    );
    try {
      // Headers and data come in pieces of any length.
      for (let at = 0; at < archive.length; at += 1000) sink.write(archive.slice(at, at + 1000));
      const { entries } = sink.finish();
      membersBelow += entries + sink.result().made;
    } finally {
      sink.close();
    }
  }
}

/** What umoci makes of an image with these layers. Returns the directory of the tree. */
export function unpackWithUmoci(layers: readonly Uint8Array[], directory: string): string {
  const layout = path.join(directory, 'layout');
  const tree = path.join(directory, 'theirs');
  writeOciLayout(
    layout,
    'image',
    layers.map((archive) => ({ archive })),
  );
  // Without the listing that umoci makes for its own later use.
  run(['umoci', 'raw', 'unpack', '--image', `${layout}:image`, tree]);
  return tree;
}
