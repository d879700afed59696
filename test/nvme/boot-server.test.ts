import { expect, test } from 'bun:test';
import { nvmeServer } from '../../src/nvme/boot-server.ts';

test.each([
  ['http://192.0.2.7:8081/d/image.efi', '192.0.2.7'],
  ['https://user:secret@server.example/image.efi', 'server.example'],
  ['http://[2001:db8::7]/image.efi', '2001:db8::7'],
  ['http://[fe80::7%25eth0]:80/image.efi', 'fe80::7%eth0'],
])('the server of %s is %s', (url, host) => {
  expect(nvmeServer(url)).toBe(host);
});

test('a URL without a host names none', () => {
  expect(() => nvmeServer('file:///image.efi')).toThrow('names no server');
});
