import { describe, expect, test } from 'bun:test';
import { sha256Of } from '../fixtures/oci-layout.ts';
import { file, link, tarArchive } from '../fixtures/tar.ts';
import {
  type Answer,
  OCI,
  pullFrom,
  pushedImage,
  type Request,
  served,
  startRegistry,
} from './faulty-registry.ts';

const IMAGE = pushedImage([tarArchive(file('one', 'x'.repeat(200_000))), tarArchive(file('two'))]);
const TAG = 'os/image:1';

/** Pulls from a registry that answers like this. */
async function pullOf(answer: (request: Request) => Answer | undefined, name = TAG, login?: string) {
  await using registry = await startRegistry(answer);
  const result = await pullFrom(`127.0.0.1:${registry.port}/${name}`, login);
  return { ...result, requests: registry.requests, sent: registry.sent() };
}

const isLayer = ({ path }: Request, index: number) => {
  const [, ...layers] = [...IMAGE.blobs.keys()];
  return path.endsWith(`/blobs/${layers[index]}`);
};

describe('what a registry asks for', () => {
  test('a token, anonymously, from the server that it names', async () => {
    const { names, requests } = await pullOf((request) => {
      if (request.path.startsWith('/token?')) return { body: '{"token":"t0k3n"}' };
      if (request.headers.authorization === 'Bearer t0k3n') return served(IMAGE, request);
      const realm = `http://${request.headers.host}/token`;
      const challenge = `Bearer realm="${realm}",service="registry",scope="repository:os/image:pull"`;
      return { status: 401, headers: { 'www-authenticate': challenge } };
    });
    expect(names).toEqual(['one', 'two']);
    const [asked] = requests.filter(({ path }) => path.startsWith('/token'));
    expect(asked?.path).toContain('scope=repository%3Aos%2Fimage%3Apull');
    expect(asked?.headers.authorization).toBeUndefined();
  });

  test('a token with the login, which only the server of the token sees', async () => {
    const { names, requests } = await pullOf(
      (request) => {
        if (request.path.startsWith('/token?')) return { body: '{"access_token":"t0k3n"}' };
        if (request.headers.authorization === 'Bearer t0k3n') return served(IMAGE, request);
        const challenge = `Bearer realm="http://${request.headers.host}/token",service="registry"`;
        return { status: 401, headers: { 'www-authenticate': challenge } };
      },
      TAG,
      'user:password',
    );
    expect(names).toEqual(['one', 'two']);
    const basic = requests.filter(({ headers }) => headers.authorization?.startsWith('Basic '));
    expect(basic.every(({ path }) => path.startsWith('/token?'))).toBe(true);
    expect(basic).toHaveLength(1);
  });

  test('another token, when the first is no longer good in the middle', async () => {
    let tokens = 0;
    const { names } = await pullOf((request) => {
      if (request.path.startsWith('/token?')) return { body: `{"token":"t${++tokens}"}` };
      const good = isLayer(request, 1) ? 'Bearer t2' : 'Bearer t1';
      const given = request.headers.authorization;
      if (given === good || given === 'Bearer t2') return served(IMAGE, request);
      const challenge = `Bearer realm="http://${request.headers.host}/token",service="registry"`;
      return { status: 401, headers: { 'www-authenticate': challenge } };
    });
    expect(names).toEqual(['one', 'two']);
    expect(tokens).toBe(2);
  });

  test('to be left alone for a moment', async () => {
    let refused = 0;
    const { names, said } = await pullOf((request) => {
      if (!isLayer(request, 0) || refused++ > 0) return served(IMAGE, request);
      return {
        status: 429,
        headers: { 'retry-after': '1' },
        body: '{"errors":[{"code":"TOOMANYREQUESTS"}]}',
      };
    });
    expect(names).toEqual(['one', 'two']);
    expect(said.join()).toContain('TOOMANYREQUESTS');
  });

  test('a blob elsewhere, where no credential goes along', async () => {
    await using store = await startRegistry((request) => served(IMAGE, request));
    const { names } = await pullOf(
      (request) => {
        if (request.headers.authorization === undefined && !request.path.startsWith('/token')) {
          const challenge = `Basic realm="registry"`;
          return { status: 401, headers: { 'www-authenticate': challenge } };
        }
        if (!isLayer(request, 0)) return served(IMAGE, request);
        return { status: 307, headers: { location: `http://127.0.0.1:${store.port}${request.path}` } };
      },
      TAG,
      'user:password',
    );
    expect(names).toEqual(['one', 'two']);
    expect(store.requests).toHaveLength(1);
    expect(store.requests[0]?.headers.authorization).toBeUndefined();
  });
});

describe('an index', () => {
  const other = pushedImage([tarArchive(file('arm'))], { architecture: 'arm64', os: 'linux' });
  const entry = ({ manifest, digest }: typeof IMAGE, architecture: string) => ({
    mediaType: `${OCI}.manifest.v1+json`,
    digest,
    size: Buffer.byteLength(manifest),
    platform: { os: 'linux', architecture },
  });
  const index = (...manifests: readonly object[]) => JSON.stringify({ schemaVersion: 2, manifests });

  test('has the image of this platform', async () => {
    const { names } = await pullOf((request) =>
      request.path.endsWith('/1')
        ? { body: index(entry(other, 'arm64'), entry(IMAGE, 'amd64')) }
        : served(IMAGE, request),
    );
    expect(names).toEqual(['one', 'two']);
  });

  test('has it not: what there is', async () => {
    const { error } = await pullOf(() => ({ body: index(entry(other, 'arm64'), entry(other, 's390x')) }));
    expect(error?.code).toBe('registry-platform');
    expect(error?.message).toContain('there is: linux/arm64, linux/s390x');
  });
});

describe('nothing is pulled', () => {
  test.each<[string, (request: Request) => Answer | undefined, string, string]>([
    [
      'a layer that is cut and cannot go on',
      (request) => ({ ...served(IMAGE, request), ...(isLayer(request, 0) && { cut: 5000 }) }),
      'connection-lost',
      '',
    ],
    [
      'a layer of other bytes',
      (request) => (isLayer(request, 1) ? { body: 'y'.repeat(2560 - 512) } : served(IMAGE, request)),
      'checksum-mismatch',
      '',
    ],
    [
      'a longer layer',
      (request) => (isLayer(request, 1) ? { body: 'y'.repeat(9999) } : served(IMAGE, request)),
      'checksum-mismatch',
      '',
    ],
    [
      'a layer that is missing',
      (request) => (isLayer(request, 1) ? undefined : served(IMAGE, request)),
      'registry-blob-unknown',
      'push the image again',
    ],
    [
      'another configuration',
      (request) =>
        request.path.endsWith([...IMAGE.blobs.keys()][0] ?? '-') ? { body: '{}' } : served(IMAGE, request),
      'checksum-mismatch',
      'push the image again',
    ],
    ['a manifest of 100 MiB', () => ({ endless: 100 << 20 }), 'limit-exceeded', ''],
    [
      'a web page',
      () => ({ body: '<!DOCTYPE html><html></html>' }),
      'oci-malformed',
      'check that a registry answers there',
    ],
    ['a manifest of Docker before 2017', () => ({ body: '{"schemaVersion":1}' }), 'oci-unsupported', ''],
    [
      'what could be a manifest and an index',
      () => ({ body: '{"schemaVersion":2,"layers":[],"manifests":[]}' }),
      'oci-malformed',
      '',
    ],
  ])('of %s', async (_, answer, code, hint) => {
    const { error, sent } = await pullOf(answer);
    expect<string | undefined>(error?.code).toBe(code);
    expect(error?.hint).toContain(hint);
    expect(sent).toBeLessThan(16 << 20);
  });

  test('of 10,000 layers', async () => {
    const layer = { mediaType: `${OCI}.layer.v1.tar`, digest: sha256Of('x'), size: 1 };
    const manifest = { ...JSON.parse(IMAGE.manifest), layers: Array.from({ length: 10_000 }, () => layer) };
    const { error, requests } = await pullOf(() => ({ body: JSON.stringify(manifest) }));
    expect(error?.message).toContain('the image has 10000 layers, 4096 is the limit');
    expect(requests).toHaveLength(1);
  });

  test('of a layer that climbs out', async () => {
    const hostile = pushedImage([tarArchive(link('out', '../..')), tarArchive(file('out/x'))]);
    const { error } = await pullOf((request) => served(hostile, request));
    expect(error?.code).toBe('tar-escape');
    expect(error?.message).toStartWith('layer 2 of 2 of 127.0.0.1:');
  });

  test('where the registry says that there is no such image, or wants a login', async () => {
    const errors = (status: number, code: string): Answer => ({
      status,
      body: JSON.stringify({ errors: [{ code }] }),
    });
    expect((await pullOf(() => errors(404, 'NAME_UNKNOWN'))).error?.code).toBe('registry-name-unknown');
    expect((await pullOf(() => errors(404, 'MANIFEST_UNKNOWN'))).error?.code).toBe('registry-tag-unknown');
    const { error } = await pullOf(() => errors(403, 'DENIED'));
    expect(error?.code).toBe('registry-unauthorized');
    expect(error?.hint).toContain('--login=FILE');
  });
});
