import { expect, test } from 'bun:test';
import { announcedExports, exportLines } from '../../../src/serve/nvme/nvme-announcement.ts';
import { ServedDirectory } from '../../../src/serve/served-directory.ts';
import { siteKey, siteView } from '../../../src/serve/site-view.ts';
import { WithheldFiles } from '../../../src/serve/withheld-files.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';

const NQN = 'nqn.2026-11.internal.rdpull:0123456789abcdef0123456789abcdef.image.raw';
const IMAGE = { path: 'image.raw', nqn: NQN, size: 1024 ** 3 };

test('what is told of an image: its URL, and the line that boots it', () => {
  const view = { mode: 'ro', exports: [IMAGE], left: [] } as const;
  expect(exportLines(view, '192.168.1.2')).toEqual([
    '',
    'over NVMe/TCP at port 4420, read-only, for any number of machines',
    '  image.raw (1.0 GiB)',
    `    URL       nvme+tcp://192.168.1.2:4420/${NQN}`,
    `    boots it  rd.systemd.pull=raw,machine,verify=no:root:nvme+tcp://192.168.1.2:4420/${NQN}`,
  ]);
});

test('what is told where there is nothing, and of what is not exported, whatever it is called', () => {
  const left = [{ path: 'a\x1b[2J.raw', why: 'it is odd' }];
  expect(exportLines({ mode: 'rw', exports: [], left }, '::1')).toEqual([
    '',
    'over NVMe/TCP at port 4420, writable, for one machine at a time; what it writes stays in the image',
    '  there is no raw image (*.raw) here',
    '  not a\\x1b[2J.raw: it is odd',
  ]);
});

test('an IPv6 address stands in brackets', () => {
  expect(announcedExports([IMAGE], '::1')).toEqual([
    {
      ...IMAGE,
      urls: [`nvme+tcp://[::1]:4420/${NQN}`],
      parameter: `rd.systemd.pull=raw,machine,verify=no:root:nvme+tcp://[::1]:4420/${NQN}`,
    },
  ]);
});

test('the page has it too, and hears of an image that comes', () => {
  using served = new TemporaryDirectory();
  const directory = new ServedDirectory(served.path, new WithheldFiles([]));
  const { ukis } = siteView(directory, { address: '192.168.1.2', port: 8081 }, undefined, [IMAGE]);
  expect(ukis).toEqual([
    {
      name: 'image.raw over NVMe',
      size: '1.0 GiB',
      facts: [
        { label: 'URL', text: `nvme+tcp://192.168.1.2:4420/${NQN}`, isCommand: false },
        {
          label: 'boots it',
          text: `rd.systemd.pull=raw,machine,verify=no:root:nvme+tcp://192.168.1.2:4420/${NQN}`,
          isCommand: true,
        },
      ],
    },
  ]);
  expect(siteKey(directory, [IMAGE])).not.toBe(siteKey(directory, []));
});
