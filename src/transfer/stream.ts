import { createCollector } from '../source/collector.ts';
import { type Limits, requireDownload } from './limits.ts';
import type { PipelineResult } from './pipeline/messages.ts';
import type { Pipeline } from './pipeline/pipeline.ts';

/**
 * Feeds all bytes of a body to the worker, which decodes and writes them.
 *
 * @param progress called whenever bytes have arrived
 * @throws RdpullError; the reason of the signal
 */
export async function stream(
  body: AsyncIterable<Uint8Array>,
  pipeline: Pipeline,
  limits: Pick<Limits, 'download'>,
  signal: AbortSignal,
  progress: (state: { readonly received: number; readonly decoded: number }) => void,
): Promise<{ readonly received: number; readonly result: PipelineResult }> {
  const collector = createCollector();
  let received = 0;
  let last: Uint8Array | undefined;
  // The worker may be busy with gigabytes of zeros that came out of its last bytes.
  const cancel = () => pipeline.cancel();
  signal.addEventListener('abort', cancel);
  try {
    for await (const chunk of body) {
      signal.throwIfAborted();
      // Nothing is left to be collected of one whose memory was given back when the next was taken: its length is 0.
      collector.received(last?.length ?? 0);
      last = chunk;
      await pipeline.write(chunk);
      received += chunk.length;
      requireDownload(received, limits);
      progress({ received, decoded: pipeline.decodedBytes });
    }
    const result = await pipeline.finish();
    signal.throwIfAborted();
    return { received, result };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}
