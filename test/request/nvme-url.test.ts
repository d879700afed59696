import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { formatNvmeUrl, type NvmeUrl, parseNvmeUrl } from '../../src/request/nvme-url.ts';
import { always, mutatedText, requirePrintable } from '../fixtures/property.ts';

const NQN = 'nqn.2023-10.io.systemd:storagetm.0123456789abcdef0123456789abcdef.image.raw';
const nothing = { host: undefined, port: undefined, nqn: undefined, namespace: undefined };

describe('the URL of a disk on an NVMe server', () => {
  test.each<[string, Partial<NvmeUrl>]>([
    ['nvme+tcp:', {}],
    ['nvme+tcp://', {}],
    ['nvme+tcp://:4421', { port: 4421 }],
    [`nvme+tcp:///${NQN}`, { nqn: NQN }],
    ['nvme+tcp://192.168.47.11', { host: '192.168.47.11' }],
    ['nvme+tcp://server.example.com:8009/', { host: 'server.example.com', port: 8009 }],
    [`nvme+tcp://192.168.47.11:4420/${NQN}`, { host: '192.168.47.11', port: 4420, nqn: NQN }],
    [
      `nvme+tcp://[2001:db8::1]:4420/${NQN}/1`,
      { host: '2001:db8::1', port: 4420, nqn: NQN, namespace: { by: 'nsid', id: '1' } },
    ],
    // It is the name of every server that can be asked what it has.
    ['nvme+tcp://h:8009/nqn.2014-08.org.nvmexpress.discovery', { host: 'h', port: 8009 }],
    ['nvme+tcp://[fe80::1%25eth0]', { host: 'fe80::1%eth0' }],
    ['nvme+tcp://[fe80::1%eth0]:1', { host: 'fe80::1%eth0', port: 1 }],
    [`nvme+tcp://h/${NQN}/007`, { host: 'h', nqn: NQN, namespace: { by: 'nsid', id: '7' } }],
    [
      `nvme+tcp://h/${NQN}/urn:uuid:2CFDBA7B-CF7A-4F1F-9D25-3B0A1F9E8D11`,
      { host: 'h', nqn: NQN, namespace: { by: 'uuid', id: '2cfdba7bcf7a4f1f9d253b0a1f9e8d11' } },
    ],
    [
      `nvme+tcp://h/${NQN}/eui.0011223344556677`,
      { host: 'h', nqn: NQN, namespace: { by: 'eui', id: '0011223344556677' } },
    ],
    [
      `nvme+tcp://h/${NQN}/00112233445566778899aabbccddeeff`,
      { host: 'h', nqn: NQN, namespace: { by: 'nguid', id: '00112233445566778899aabbccddeeff' } },
    ],
  ])('%s', (text, parts) => {
    expect(parseNvmeUrl(text)).toEqual({ ...nothing, ...parts });
  });

  test.each([
    ['nvme+tcp:h', 'has something else than // behind the scheme'],
    ['nvme+tcp://h:0', 'has no usable port: "0"'],
    ['nvme+tcp://h:65536', 'has no usable port: "65536"'],
    ['nvme+tcp://h:', 'has no usable port: ""'],
    ['nvme+tcp://2001:db8::1', 'has no usable port: "db8::1"'],
    ['nvme+tcp://user@h', 'holds a login, which NVMe has none of'],
    ['nvme+tcp://h_/x', 'names no host: "h_"'],
    ['nvme+tcp://h,hostnqn=x', 'names no host: "h,hostnqn=x"'],
    ['nvme+tcp://h/image.raw', 'names no subsystem: "image.raw" does not start with "nqn."'],
    [
      'nvme+tcp://h/nqn.a,ctrl_loss_tmo=1',
      'names no subsystem: "nqn.a,ctrl_loss_tmo=1" holds a character that is no letter, digit or one of . : - _ + @ = ~',
    ],
    [`nvme+tcp://h/nqn.${'x'.repeat(220)}`, 'is longer than 223 bytes'],
    [`nvme+tcp://h/${NQN}/0`, 'names no namespace: "0" is no number from 1 on, UUID, EUI64 or NGUID'],
    [`nvme+tcp://h/${NQN}/4294967295`, 'names no namespace: "4294967295"'],
    ['nvme+tcp://h/nqn.2014-08.org.nvmexpress.discovery/1', 'names a namespace of the discovery controller'],
    [`nvme+tcp://h/${NQN}/1/2`, 'has more than a subsystem and a namespace'],
    [`nvme+tcp://h/${NQN}?x`, 'names no subsystem'],
  ])('%s is refused', (text, what) => {
    const defect = parseNvmeUrl(text);
    expect('what' in defect ? defect.what : defect).toStartWith(
      what.startsWith('is longer') ? 'names no subsystem' : what,
    );
    if ('what' in defect) expect(defect.what).toContain(what);
  });

  test('what is read is written, and read again', () => {
    const samples = [
      'nvme+tcp:',
      `nvme+tcp://[fe80::1%25eth0]:4420/${NQN}/1`,
      `nvme+tcp://h.example:8009/${NQN}/uuid:2cfdba7b-cf7a-4f1f-9d25-3b0a1f9e8d11`,
    ];
    always(mutatedText(samples, [':', '/', '[', ']', '%', ',', 'nqn.', '@', '1']), (text) => {
      const url = parseNvmeUrl(text.startsWith('nvme+tcp:') ? text : `nvme+tcp:${text}`);
      if ('what' in url) return requirePrintable(url.what);
      const written = formatNvmeUrl(url);
      expect(parseNvmeUrl(written)).toEqual(url);
      // It becomes a line of options, and a line of a unit.
      if (/[,\s"'\\]/.test(written)) throw new Error(`unsafe: ${written}`);
    });
  });

  test('every port and number', () => {
    always(
      fc.tuple(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: 1, max: 0xffff_fffe })),
      ([port, nsid]) => {
        const url: NvmeUrl = { host: 'h', port, nqn: NQN, namespace: { by: 'nsid', id: String(nsid) } };
        expect(parseNvmeUrl(formatNvmeUrl(url))).toEqual(url);
      },
    );
  });
});
