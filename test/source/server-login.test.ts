import { afterAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { loginFor, readSecrets, type Secret } from '../../src/source/server-login.ts';
import { CertificateAuthority } from '../fixtures/certificate-authority.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';
import { failureOf, readAll } from './reading.ts';

const directory = new TemporaryDirectory();
const root = CertificateAuthority.root();
afterAll(() => {
  directory[Symbol.dispose]();
  root[Symbol.dispose]();
});
const none = { bearer: undefined, login: undefined };
const nobodyWarns = (text: string) => {
  throw new Error(text);
};

let serial = 0;
/** The secrets of a unit with these credentials. */
function withCredentials(credentials: Record<string, string>): readonly Secret[] {
  const own = directory.file(`credentials-${serial++}`);
  fs.mkdirSync(own);
  for (const [name, text] of Object.entries(credentials)) fs.writeFileSync(`${own}/${name}`, text);
  return readSecrets(none, { CREDENTIALS_DIRECTORY: own });
}
const basic = (login: string) => `Basic ${Buffer.from(login).toString('base64')}`;
const sent = (url: string, secrets: readonly Secret[]) =>
  loginFor(url, secrets, nobodyWarns).login?.authorization;

describe('what is sent', () => {
  test('a token or a login, from a credential or a file, without the end of the line', () => {
    expect(sent('https://h/x', withCredentials({ 'rdpull.bearer': 'abc.DEF-1_~+/==\n' }))).toBe(
      'Bearer abc.DEF-1_~+/==',
    );
    expect(sent('https://h/x', withCredentials({ 'rdpull.login': 'user:p:ä s\r\n' }))).toBe(
      basic('user:p:ä s'),
    );
    const bearer = directory.write('token', 'fromfile');
    expect(sent('https://h/x', readSecrets({ bearer, login: undefined }, {}))).toBe('Bearer fromfile');
  });

  test('an option goes before every credential, and a login in the URL before both', () => {
    const login = directory.write('login', 'me:pw');
    const credentials = directory.file('both');
    fs.mkdirSync(credentials);
    fs.writeFileSync(`${credentials}/rdpull.bearer`, 'token');
    const secrets = readSecrets({ bearer: undefined, login }, { CREDENTIALS_DIRECTORY: credentials });
    expect(sent('https://h/x', secrets)).toBe(basic('me:pw'));
    expect(sent('https://u:p@h/x', secrets)).toBe(basic('u:p'));
  });

  test('only to the server that stands before it', () => {
    const secrets = withCredentials({
      'rdpull.bearer': 'https://one.example token',
      'rdpull.login': 'https://two.example:8443 user:p w',
    });
    expect(sent('https://one.example/x', secrets)).toBe('Bearer token');
    expect(sent('https://one.example:444/x', secrets)).toBeUndefined();
    expect(sent('https://two.example:8443/x', secrets)).toBe(basic('user:p w'));
    expect(sent('https://three.example/x', secrets)).toBeUndefined();
  });

  test('nothing over http: a credential with a warning, an option is an error', async () => {
    const said: string[] = [];
    const secrets = withCredentials({ 'rdpull.bearer': 's3cret' });
    expect(loginFor('http://h/x', secrets, (text) => said.push(text)).login).toBeUndefined();
    expect(said).toEqual([
      'the credential rdpull.bearer is not sent to http://h/x: only over https is it safe from those on the way',
    ]);
    const bearer = directory.write('plain', 's3cret');
    const asked = readSecrets({ bearer, login: undefined }, {});
    const error = await failureOf(Promise.resolve().then(() => sent('http://h/x', asked)));
    expect(error).toEqual({
      code: 'bad-option',
      message: `--bearer=${bearer} is not sent to http://h/x: only over https is it safe from those on the way`,
      hint: 'use an https URL',
    });
    expect(sent('file:///x', secrets)).toBeUndefined();
  });

  test('an option for another server is an error', async () => {
    const bearer = directory.write('bound', 'https://one.example s3cret');
    const asked = readSecrets({ bearer, login: undefined }, {});
    expect(
      (await failureOf(Promise.resolve().then(() => sent('https://two.example/x', asked)))).message,
    ).toBe(`--bearer=${bearer} is for https://one.example, not for https://two.example/x`);
  });

  test('nothing where there are no credentials', () => {
    expect(readSecrets(none, { CREDENTIALS_DIRECTORY: '/no/such/directory' })).toEqual([]);
    expect(withCredentials({ other: 'x' })).toEqual([]);
  });
});

describe('what is refused, without being quoted', () => {
  test.each([
    ['rdpull.bearer', '', 'it is empty'],
    ['rdpull.bearer', '\n', 'it is empty'],
    ['rdpull.bearer', 's3cret\nx: y', 'it is longer than one line'],
    ['rdpull.bearer', 's3cret\n\n', 'it is longer than one line'],
    ['rdpull.bearer', 's3cret\r', 'it is longer than one line'],
    ['rdpull.bearer', 's3cret\x00', 'there are control characters in it'],
    ['rdpull.bearer', 's3cret s3cret', 'there are characters in it that a token cannot hold (RFC 6750)'],
    ['rdpull.bearer', 's3crät', 'there are characters in it that a token cannot hold (RFC 6750)'],
    ['rdpull.bearer', 'https://h ', 'it is empty'],
    ['rdpull.bearer', 'https://h/path s3cret', 'what stands before the space is no server'],
    ['rdpull.bearer', 'https://u:s3cret@h s3cret', 'what stands before the space is no server'],
    ['rdpull.bearer', 'x'.repeat(9000), 'it is longer than 8192 bytes'],
    ['rdpull.login', 's3cret', 'it is not USER:PASSWORD'],
    ['rdpull.login', ':s3cret', 'it is not USER:PASSWORD'],
    ['rdpull.login', 'user:s3c\x1bret', 'there are control characters in it'],
  ])('%s: %p', async (name, text, why) => {
    const error = await failureOf(Promise.resolve().then(() => withCredentials({ [name]: text })));
    expect(error.code).toBe('credential-unusable');
    expect(error.message).toBe(`the credential ${name} cannot be used: ${why}`);
    expect(error.hint).not.toContain('s3c');
  });

  test('a file that is missing', async () => {
    const error = await failureOf(
      Promise.resolve().then(() => readSecrets({ ...none, bearer: '/no/such' }, {})),
    );
    expect(error.message).toBe('--bearer=/no/such cannot be used: there is no such file');
  });
});

test('a token goes to its own server, also behind a redirect, and to no other', async () => {
  directory.write('image.raw', 'the image');
  const files = root.issue('server');
  const tls = { key: await Bun.file(files.key).text(), cert: await Bun.file(files.cert).text() };
  await using other = startWebServer(directory.path, undefined, tls);
  await using server = startWebServer(
    directory.path,
    (request) => {
      const { pathname } = new URL(request.url);
      if (request.headers.get('authorization') !== 'Bearer s3cret')
        return new Response(null, { status: 401 });
      if (pathname === '/here') return Response.redirect('/image.raw');
      if (pathname === '/away') return Response.redirect(`${other.url}/image.raw`);
      return undefined;
    },
    tls,
  );
  const { login } = loginFor(`${server.url}/`, withCredentials({ 'rdpull.bearer': 's3cret' }), nobodyWarns);
  const options = { ca: [root.cert], login };
  expect(await readAll(`${server.url}/here`, options)).toBe('the image');
  expect(await readAll(`${server.url}/away`, options)).toBe('the image');
  expect(other.requests).toEqual(['GET /image.raw']);
  expect(other.lastHeaders().get('authorization')).toBeNull();
});
