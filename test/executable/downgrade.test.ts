import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { rdpull } from '../fixtures/executable.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';

/** What was asked for on the kernel command line cannot be weakened by the server. */
const gpg = new GpgHome();
const served = new TemporaryDirectory();
const key = gpg.generateKey('Builder <builder@example.org>');
const stranger = gpg.generateKey('Stranger <stranger@example.org>');
let keyring: string;
let sums: Buffer;

beforeAll(() => {
  keyring = served.write('keys.pgp', gpg.exportKeys([key]));
  served.write('a b.raw', 'an image');
  sums = run(['sha256sum', 'a b.raw'], { cwd: served.path });
});
afterAll(() => {
  for (const each of [gpg, served]) each[Symbol.dispose]();
});

type Answer = string | Uint8Array | number | { readonly to: string };

/** A pull of a good image, where the server answers for the files beside it as told, and 404 for the others. */
async function pull(answers: Readonly<Record<string, Answer>>, options: readonly string[] = []) {
  using target = new TemporaryDirectory();
  await using server = startWebServer(served.path, (request) => {
    const name = decodeURIComponent(new URL(request.url).pathname.slice(1));
    const answer = answers[name] ?? (name === 'a b.raw' ? 'an image' : 404);
    if (typeof answer === 'number') return new Response('', { status: answer });
    if (typeof answer === 'object' && 'to' in answer) return Response.redirect(answer.to);
    return new Response(answer);
  });
  const { status, stderr } = await rdpull([
    ...[
      'pull',
      ...(options.includes('--verify=no') ? [] : [`--keyring=${keyring}`]),
      `--image-root=${target.path}`,
      '--local=x',
      '--patience=0',
      ...options,
    ],
    `${server.url}/a%20b.raw`,
  ]);
  return { status, stderr, names: target.names(), asked: server.requests };
}

/** The file is asked for as `a%20b.raw`, and systemd's own lists would have that name. */
const listed = (content: Buffer) => content.toString().replace('a b.raw', 'a%20b.raw');

describe('signature does not become less when the server', () => {
  test.each<[string, Readonly<Record<string, Answer>>, number]>([
    ['has no signature', { SHA256SUMS: 'SUMS' }, 13],
    ['forbids the signature', { SHA256SUMS: 'SUMS', 'SHA256SUMS.gpg': 403, 'SHA256SUMS.asc': 403 }, 13],
    ['has an empty signature', { SHA256SUMS: 'SUMS', 'SHA256SUMS.gpg': '', 'SHA256SUMS.asc': '' }, 13],
    ['has a web page in its place', { SHA256SUMS: 'SUMS', 'SHA256SUMS.asc': '<!DOCTYPE html><p>' }, 13],
    ['fails at the signature', { SHA256SUMS: 'SUMS', 'SHA256SUMS.gpg': 500 }, 11],
    ['wants a login for the signature', { SHA256SUMS: 'SUMS', 'SHA256SUMS.gpg': 401 }, 11],
    ['leads the signature to nowhere', { SHA256SUMS: 'SUMS', 'SHA256SUMS.gpg': { to: '/nothing' } }, 13],
    [
      'leads the signature in a circle',
      { SHA256SUMS: 'SUMS', 'SHA256SUMS.gpg': { to: '/SHA256SUMS.gpg' } },
      11,
    ],
    ['has nothing at all', {}, 13],
    ['fails at the checksum file', { 'a%20b.raw.sha256': 503, 'a b.raw.sha256': 503 }, 11],
    ['leads the checksum file to itself', { SHA256SUMS: { to: '/SHA256SUMS' } }, 11],
  ])('%s', async (_, answers, expected) => {
    const sumsOf = (answer: Answer) => (answer === 'SUMS' ? listed(sums) : answer);
    const { status, names, asked } = await pull(
      Object.fromEntries(Object.entries(answers).map(([name, answer]) => [name, sumsOf(answer)])),
    );
    expect(status).toBe(expected);
    expect(names).toEqual([]);
    // Not even begun.
    expect(asked).not.toContain('GET /a%20b.raw');
  });

  test('has a signature by somebody else', async () => {
    const content = listed(sums);
    const { status, names } = await pull({
      SHA256SUMS: content,
      'SHA256SUMS.asc': gpg.sign(content, { by: stranger }),
    });
    expect({ status, names }).toEqual({ status: 13, names: [] });
  });

  test('leads the image to another file: the name that was asked for counts', async () => {
    served.write('other.raw', 'another image');
    const list = `${listed(sums)}${run(['sha256sum', 'other.raw'], { cwd: served.path })}`;
    const { status, stderr, names } = await pull({
      SHA256SUMS: list,
      'SHA256SUMS.asc': gpg.sign(list, { by: key }),
      'a b.raw': { to: '/other.raw' },
      'other.raw': 'another image',
    });
    expect(stderr).toContain('is not what was promised');
    expect({ status, names }).toEqual({ status: 13, names: [] });
  });
});

test('a name may be listed as the URL has it, or as sha256sum(1) writes that of the file, but not as two files', async () => {
  const escaped = listed(sums);
  for (const list of [escaped, sums]) {
    const good = await pull({ SHA256SUMS: list, 'SHA256SUMS.asc': gpg.sign(list, { by: key }) });
    expect(good).toMatchObject({ status: 0, names: ['x.raw'] });
  }
  const both = `${escaped}${'0'.repeat(64)}  a b.raw\n`;
  const contradicted = await pull({ SHA256SUMS: both, 'SHA256SUMS.asc': gpg.sign(both, { by: key }) });
  expect(contradicted).toMatchObject({ status: 13, names: [] });
});

test('verify=no over plain http is said on the console', async () => {
  const { status, stderr } = await pull({}, ['--verify=no']);
  expect(status).toBe(0);
  expect(stderr).toContain(
    'warning: verify=no over plain http: whoever is on the network can put another image in place of this one',
  );
});
