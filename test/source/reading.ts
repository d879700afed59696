import { RdpullError } from '../../src/console/rdpull-error.ts';
import { openSource } from '../../src/source/open-source.ts';
import type { SourceOptions } from '../../src/source/source.ts';

/** Everything that a URL yields. */
export async function readAll(url: string, options: Partial<SourceOptions> = {}): Promise<string> {
  const signal = new AbortController().signal;
  const source = await openSource(url, { ca: [], login: undefined, signal, ...options });
  try {
    const parts: Buffer[] = [];
    for await (const chunk of source.body) parts.push(Buffer.from(chunk));
    return Buffer.concat(parts).toString();
  } finally {
    source.close();
  }
}

/** What a promise that has to fail fails with. */
export async function failureOf(
  promise: Promise<unknown>,
): Promise<{ code: string; message: string; hint: string }> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RdpullError) return error.toRecord();
    throw error;
  }
  throw new Error('expected a failure');
}
