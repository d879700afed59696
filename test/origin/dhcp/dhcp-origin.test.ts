import { describe, expect, test } from 'bun:test';
import { RdpullError } from '../../../src/console/rdpull-error.ts';
import { type DhcpLease, dhcpLease, type LeaseText } from '../../../src/origin/dhcp/dhcp-lease.ts';
import { findDhcpOrigin, requireDhcpOrigin } from '../../../src/origin/dhcp/dhcp-origin.ts';

function lease(text: LeaseText, source = '/run/a', name = 'eth0'): DhcpLease {
  const made = dhcpLease(source, name, text);
  if (made === undefined) throw new Error('there is nothing in this lease');
  return made;
}

const ALL: LeaseText = {
  bootFile: 'http://boot.example/a/image.efi',
  rootPath: 'https://root.example/images/',
  tftpServer: 'tftp.example',
  nextServer: '192.0.2.9',
};

describe('the best of a lease', () => {
  const { bootFile: _, ...withoutBootFile } = ALL;
  const { rootPath: __, ...withoutUrls } = withoutBootFile;
  test.each([
    ['boot file name', ALL, 'http://boot.example/a/image.efi', 'file'],
    ['root path', withoutBootFile, 'https://root.example/images/', 'directory'],
    ['root path', { ...ALL, bootFile: 'pxelinux.0' }, 'https://root.example/images/', 'directory'],
    [
      'root path',
      { ...ALL, bootFile: 'tftp://boot.example/image.efi' },
      'https://root.example/images/',
      'directory',
    ],
    ['root path', { ...ALL, bootFile: 'http://' }, 'https://root.example/images/', 'directory'],
    ['root path', { ...ALL, bootFile: 'file:///etc/shadow' }, 'https://root.example/images/', 'directory'],
    ['TFTP server', withoutUrls, 'http://tftp.example/', 'directory'],
    ['TFTP server', { ...withoutUrls, rootPath: '192.0.2.1:/nfs' }, 'http://tftp.example/', 'directory'],
    ['next server', { nextServer: '192.0.2.9' }, 'http://192.0.2.9/', 'directory'],
  ] as const)('%s', (field, text, url, kind) => {
    expect(findDhcpOrigin([lease(text)])).toEqual({ url, kind, source: '/run/a', field });
  });
});

test('a URL of any lease goes before a server of the first', () => {
  const leases = [lease({ nextServer: '192.0.2.9' }), lease({ rootPath: 'http://h/r.raw' }, '/run/b')];
  expect(findDhcpOrigin(leases)).toEqual({
    url: 'http://h/r.raw',
    kind: 'file',
    source: '/run/b',
    field: 'root path',
  });
});

function refusal(leases: readonly DhcpLease[]) {
  try {
    requireDhcpOrigin(leases);
  } catch (error) {
    return RdpullError.from(error).toRecord();
  }
  throw new Error('it was found');
}

test('without a lease, it is said how to get one; that may pass', () => {
  expect(refusal([])).toEqual({
    code: 'dhcp-lease-missing',
    message:
      'dhcporigin: no DHCP client of this machine (systemd-networkd, NetworkManager, dracut, the kernel) has left a lease',
    hint: 'bring the network up by DHCP (ip=dhcp), or write the whole URL',
  });
});

test('a lease without a URL or a server is quoted, but for passwords', () => {
  const said = { bootFile: 'tftp://me:secret@h/a', gateway: '192.0.2.1' };
  expect(refusal([lease(said)])).toEqual({
    code: 'dhcp-url-missing',
    message:
      'dhcporigin: no DHCP lease says where to boot from: /run/a (eth0) has the boot file name "tftp://h/a", the gateway 192.0.2.1',
    hint: 'have the DHCP server send a boot file name or a root path that is an http URL, or a next server; or write the whole URL in place of dhcporigin',
  });
});
