import { afterAll, describe, expect, test } from 'bun:test';
import { CertificateAuthority, type CertificateFiles } from '../fixtures/certificate-authority.ts';
import { rdpull } from '../fixtures/executable.ts';
import { startLighttpd } from '../fixtures/lighttpd.ts';
import { makeImage } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const served = new TemporaryDirectory();
const roots: CertificateAuthority[] = [];
afterAll(() => {
  served[Symbol.dispose]();
  for (const root of roots) root[Symbol.dispose]();
});
makeImage(served);

const LONG = { from: '2020-01-01', days: 36_500 };
function newRoot() {
  const root = CertificateAuthority.root(LONG);
  roots.push(root);
  return root;
}
const root = newRoot();

/** Pulls over https on a machine whose clock says `time`. */
async function pullAt(time: string, certificate: CertificateFiles, ca = root.cert) {
  using images = new TemporaryDirectory();
  await using server = await startLighttpd(served.path, { certificate });
  const url = `${server.url}/image.raw`;
  const { status, stderr } = await rdpull(
    ['pull', '--verify=no', `--ca=${ca}`, `--image-root=${images.path}`, url],
    { wrapper: ['faketime', '-f', `@${time} 00:00:00`], env: { TZ: 'UTC' } },
  );
  return { status, lines: stderr.replaceAll(url, 'URL').split('\n'), images: images.names() };
}

describe('in 1970, before the executable was made', () => {
  test('a server is judged by the time of the build, with a warning', async () => {
    const { status, lines, images } = await pullAt(
      '1970-01-02',
      root.intermediate('above', { ...LONG }).issue('valid', LONG),
    );
    expect(lines[0]).toMatch(
      /^rdpull: warning: the clock of this machine says 1970-01-02T00:0\d:\d\dZ, but this rdpull was made on 2\d{3}-\d\d-\d\dT[:\d]{8}Z: the certificates of servers are judged by that time$/,
    );
    expect(lines.filter((line) => line.includes('warning')).length).toBe(1);
    expect(status).toBe(0);
    expect(images).toContain('image.raw');
  });

  test('a certificate that begins after the build is refused, with all dates', async () => {
    const { status, lines, images } = await pullAt(
      '1970-01-02',
      root.issue('later', { from: '2060-01-01', days: 30 }),
    );
    expect(lines[0]).toMatch(
      /^rdpull: error: URL: the server cannot be trusted: its certificate is not valid yet: it is valid from 2060-01-01T00:00:00Z to 2060-01-31T00:00:00Z, and the clock of this machine says 1970-01-02T00:0\d:\d\dZ$/,
    );
    expect(lines[1]).toMatch(
      /^rdpull: try: set the clock of this machine, with date --set=TIME: it is before 2\d{3}-\d\d-\d\dT[:\d]{8}Z, when this rdpull was made$/,
    );
    expect(status).toBe(10);
    expect(images).toEqual([]);
  });

  test.each([
    ['has expired before the build', () => root.issue('expired', { from: '2020-01-01', days: 30 })],
    ['is of another CA', () => newRoot().issue('stranger', LONG)],
    ['is for another host', () => root.issue('elsewhere', { ...LONG, names: 'DNS:www.example.com' })],
    [
      'is of an intermediate that is no CA',
      () =>
        root
          .intermediate('none', { ...LONG, extensions: ['keyUsage=digitalSignature'] })
          .issue('below', LONG),
    ],
  ])('a certificate that %s is refused nevertheless', async (_, certificate) => {
    const { status, lines, images } = await pullAt('1970-01-02', certificate());
    expect(lines[0]).toStartWith('rdpull: error: URL: the server cannot be trusted: ');
    expect(status).toBe(10);
    expect(images).toEqual([]);
  });
});

test('in 2100 the message names the dates, and nothing is let through', async () => {
  const { status, lines, images } = await pullAt(
    '2100-01-02',
    root.issue('good', { from: '2020-01-01', days: 20_000 }),
  );
  expect(lines.slice(0, 2)).toEqual([
    expect.stringMatching(
      /^rdpull: error: URL: the server cannot be trusted: its certificate has expired: it is valid from 2020-01-01T00:00:00Z to 2074-10-04T00:00:00Z, and the clock of this machine says 2100-01-02T00:0\d:\d\dZ$/,
    ),
    'rdpull: try: if that clock is right, renew the certificate on the server; else set the clock, with date --set=TIME',
  ]);
  expect(status).toBe(10);
  expect(images).toEqual([]);
});
