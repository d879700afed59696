import { describe, expect, test } from 'bun:test';
import { dhchapSecrets } from '../../src/nvme/secret.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** As nvme gen-dhchap-key of nvme-cli 2.3 has printed them: with --hmac=0 to 3, and with --key-length=48 and 64. */
const KEYS = [
  'DHHC-1:00:bosY+84LfVaRitl9h1S6sAlIMOiHTLLYYKjic+ljsFSupOFV:',
  'DHHC-1:01:KErrK5uE3DpYFGPlCOAFN48Lp5doI7KHb543Us4Gj46xuMJo:',
  'DHHC-1:02:c71jzgUdaQDfi29RXct37dzFd4CZu3of4vgIiheY8Wk4DyqakYuaFJqb93sRM7cGNFT6bQ==:',
  'DHHC-1:03:t+kvZVAFFZdYIz3/Ui9YrXzpuEVWyH6xK6bguwK+oq3haLb3BwGM3JgxTwJmZDxWvExmgTbXM5uq8gXZlaSGjBtFllM=:',
  'DHHC-1:00:MdQ3PrtOQMSzbA2Wqd0O5xVg6MHNRvCY8Dep+x/5RSVUb4uzXgMHfNJ2dp+v/ghR0ZwMnA==:',
  'DHHC-1:00:H8gstgMzXI/PpAhVQ46hHvxVUK+olgmUgCUAHkTewroQEXeEWvBvxrl4L+B6J4jpLCOfuYYS7Gys8IZaAzW4ZdOP1HQ=:',
];
const [KEY = '', OTHER = ''] = KEYS;

/** What a service with these credentials gets. */
function secretsOf(credentials: Readonly<Record<string, string>>) {
  using directory = new TemporaryDirectory();
  for (const [name, content] of Object.entries(credentials)) directory.write(name, content);
  return dhchapSecrets({ CREDENTIALS_DIRECTORY: directory.path });
}

describe('the secrets of DH-HMAC-CHAP', () => {
  test.each(KEYS)('%s is taken as nvme-cli prints it, with the end of its line', (key) => {
    expect(secretsOf({ 'rdpull.dhchap-secret': `${key}\n` })).toEqual({ host: key, controller: undefined });
  });

  test('the server may have to show itself as well', () => {
    expect(secretsOf({ 'rdpull.dhchap-secret': KEY, 'rdpull.dhchap-ctrl-secret': OTHER })).toEqual({
      host: KEY,
      controller: OTHER,
    });
  });

  test('without a credential there are none', () => {
    expect(secretsOf({})).toBeUndefined();
  });

  test('a server shows itself only to who has done so', () => {
    expect(() => secretsOf({ 'rdpull.dhchap-ctrl-secret': KEY })).toThrow(
      'the credential rdpull.dhchap-ctrl-secret cannot be used without rdpull.dhchap-secret',
    );
  });

  const checksum = 'its checksum is not that of the secret: it was mistyped, or changed';
  const size = 'it holds no secret of 32, 48, 64 bytes with a checksum behind it: part of it is missing';
  const form = 'it is no secret of DH-HMAC-CHAP';
  test.each([
    ['bosY+84LfVaRitl9h1S6sAlIMOiHTLLYYKjic+ljsFSupOFV', form],
    [KEY.slice(0, -1), form],
    [KEY.replace('DHHC-1', 'DHHC-2'), form],
    [KEY.replace(':00:', ':04:'), form],
    [KEY.replace(':00:', ':0:'), form],
    [`${KEY}${OTHER}`, form],
    [`${KEY}\n${OTHER}`, form],
    [`${KEY},nqn=nqn.evil`, form],
    ['', form],
    [KEY.replace('bosY', 'bosZ'), checksum],
    [KEY.replace('pOFV', 'pOFW'), checksum],
    [KEY.replace('bosY', ''), size],
    [KEY.replace('pOFV:', 'pOF:'), size],
    [KEY.replace('pOFV:', 'pO==:'), size],
    ['DHHC-1:00:AAAA:', size],
  ])('%j is refused before anything is done, and not quoted', (text, why) => {
    for (const name of ['rdpull.dhchap-secret', 'rdpull.dhchap-ctrl-secret']) {
      const read = () => secretsOf({ 'rdpull.dhchap-secret': KEY, [name]: text });
      expect(read).toThrow(`the credential ${name} cannot be used: ${why}`);
      expect(read).not.toThrow(/bos[YZ]|KErr|evil/);
    }
  });
});
