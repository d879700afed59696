import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { machinePlatform } from '../../src/registry/platform.ts';
import { promisedDigest } from '../../src/registry/promised-digest.ts';
import { openRegistry } from '../../src/registry/registry-session.ts';
import { resolveReference } from '../../src/registry/resolve-reference.ts';
import { parseReference } from '../../src/request/oci-reference.ts';
import { runImageTransfer } from '../../src/transfer/layers/image-transfer.ts';
import { DEFAULT_LIMITS } from '../../src/transfer/limits.ts';
import { DEFAULT_MEMORY } from '../../src/transfer/pipeline/memory.ts';
import { sha256Of } from '../fixtures/oci-layout.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is sent; undefined: as many bytes as `endless` says, or nothing. */
  readonly body?: Uint8Array | string;
  /** Bytes of spaces that are sent in place of a body. */
  readonly endless?: number;
  /** The connection is closed after so many bytes. */
  readonly cut?: number;
}

export interface Request {
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
}

export interface FaultyRegistry extends AsyncDisposable {
  readonly port: number;
  readonly requests: readonly Request[];
  readonly sent: () => number;
}

/** A registry that answers what a test says; undefined is 404. */
export async function startRegistry(
  answer: (request: Request) => Answer | undefined,
): Promise<FaultyRegistry> {
  const requests: Request[] = [];
  let sent = 0;
  const server = http.createServer((asked, response) => {
    const request = { path: asked.url ?? '', headers: asked.headers };
    requests.push(request);
    const { status = 200, headers = {}, body = '', endless, cut } = answer(request) ?? { status: 404 };
    const bytes = Buffer.from(body);
    response.writeHead(status, { 'content-length': endless ?? bytes.length, ...headers });
    if (endless !== undefined) {
      const piece = Buffer.alloc(65536, ' ');
      const send = () => {
        while (sent < endless && !response.destroyed) {
          sent += piece.length;
          if (!response.write(piece)) return void response.once('drain', send);
        }
        response.end();
      };
      send();
    } else if (cut === undefined) response.end(bytes);
    else response.write(bytes.subarray(0, cut), () => response.destroy());
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('it does not listen');
  return {
    port: address.port,
    requests,
    sent: () => sent,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** An image with these layers, as a registry has it. */
export interface Pushed {
  readonly manifest: string;
  readonly digest: string;
  /** By digest: the layers, and the configuration. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

export const OCI = 'application/vnd.oci.image';

export function pushedImage(
  layers: readonly Uint8Array[],
  platform = { architecture: 'amd64', os: 'linux' },
): Pushed {
  const configuration = Buffer.from(
    JSON.stringify({ ...platform, rootfs: { type: 'layers', diff_ids: layers.map(sha256Of) } }),
  );
  const described = (mediaType: string, bytes: Uint8Array) => ({
    mediaType,
    digest: sha256Of(bytes),
    size: bytes.length,
  });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    config: described(`${OCI}.config.v1+json`, configuration),
    layers: layers.map((layer) => described(`${OCI}.layer.v1.tar`, layer)),
  });
  const blobs = new Map([configuration, ...layers].map((bytes) => [sha256Of(bytes), bytes]));
  return { manifest, digest: sha256Of(manifest), blobs };
}

/** What a faultless registry answers. */
export function served({ manifest, blobs }: Pushed, { path: asked }: Request): Answer | undefined {
  if (asked.includes('/manifests/')) return { body: manifest };
  const body = blobs.get(asked.slice(asked.lastIndexOf('/') + 1));
  return body === undefined ? undefined : { body };
}

export interface Pulled {
  readonly error: RdpullError | undefined;
  readonly said: readonly string[];
  /** The names in the tree; undefined when there is none. */
  readonly names: readonly string[] | undefined;
}

/** Pulls an image on an amd64 without a level of instructions, and checks that a failure leaves nothing. */
export async function pullFrom(text: string, login?: string): Promise<Pulled> {
  const parsed = parseReference(text);
  if ('what' in parsed) throw new Error(parsed.what);
  using directory = new TemporaryDirectory();
  const said: string[] = [];
  const signal = new AbortController().signal;
  const notify = (line: string) => void said.push(line);
  const reference = resolveReference(parsed, directory.path);
  const target = directory.file('root');
  let error: RdpullError | undefined;
  try {
    await runImageTransfer(
      {
        ...{ target, force: false, overcommit: false, limits: DEFAULT_LIMITS, memory: DEFAULT_MEMORY },
        openSession: (ended) =>
          openRegistry(
            {
              reference,
              promised: promisedDigest(parsed, { kind: 'no' }),
              machine: machinePlatform('x64'),
              registry: {
                url: reference.origin,
                login:
                  login === undefined
                    ? undefined
                    : { origin: reference.origin, authorization: `Basic ${btoa(login)}` },
              },
            },
            { ca: [], login: undefined, signal: ended, patience: { milliseconds: 3000, notify } },
          ),
      },
      { signal },
      {
        started: () => undefined,
        progress: () => undefined,
        converting: () => undefined,
        warn: notify,
        explain: notify,
      },
    );
  } catch (caught) {
    if (!(caught instanceof RdpullError)) throw caught;
    error = caught;
  }
  const names = fs.existsSync(target) ? fs.readdirSync(target).sort() : undefined;
  const left = directory.names().filter((name) => name !== path.basename(target));
  if (left.length > 0 || (error === undefined) !== (names !== undefined)) {
    throw new Error(`the pull leaves ${directory.names().join(', ')}`);
  }
  return { error, said, names };
}
