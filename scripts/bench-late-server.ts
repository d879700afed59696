import path from 'node:path';

/**
 * A server of the files in `directory` that sends each answer `milliseconds` late, and knows ranges of one part: what a server is that is
 * far away, on a network that is fast.
 */
export function serveLate(directory: string, milliseconds: number): { readonly url: string } & Disposable {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const file = Bun.file(path.join(directory, new URL(request.url).pathname));
      await Bun.sleep(milliseconds);
      const headers = { ETag: `"${file.size}"`, 'Accept-Ranges': 'bytes' };
      if (request.method === 'HEAD') {
        return new Response(null, { headers: { ...headers, 'Content-Length': String(file.size) } });
      }
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get('range') ?? '') ?? [];
      if (from === undefined || to === undefined) return new Response(file, { headers });
      const last = Math.min(Number(to), file.size - 1);
      return new Response(await file.slice(Number(from), last + 1).bytes(), {
        status: 206,
        headers: { ...headers, 'Content-Range': `bytes ${from}-${last}/${file.size}` },
      });
    },
  });
  return { url: server.url.href.replace(/\/$/, ''), [Symbol.dispose]: () => void server.stop(true) };
}
