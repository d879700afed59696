import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { bootedMachine } from '../fixtures/booted-machine.ts';
import { rdpull } from '../fixtures/executable.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const NQN = 'nqn.2023-10.io.systemd:storagetm.0123456789abcdef0123456789abcdef.image.raw';

/** What a kernel with the module would do, only virtual machines show: test/boot/scenarios/nvme.ts. */
const HAS_NVME = fs.existsSync('/dev/nvme-fabrics');

describe('attach nvme+tcp:', () => {
  test.if(!HAS_NVME)('where the kernel has no NVMe over TCP: says so, and what to try', async () => {
    const { status, stdout, stderr } = await rdpull(['attach', `nvme+tcp://127.0.0.1/${NQN}`]);
    expect({ status, stdout }).toEqual({ status: 15, stdout: '' });
    expect(stderr).toContain('rdpull: warning: nobody vouches for what comes over NVMe: ');
    expect(stderr).toContain(
      'rdpull: error: this kernel has no NVMe over TCP: /dev/nvme-fabrics is not there\n',
    );
    expect(stderr).toContain(
      'rdpull: try: load the module with "modprobe nvme-tcp"; an initrd must hold it: ',
    );
    expect(fs.existsSync(`/run/rdpull/nvme/${NQN}`)).toBe(false);
  });

  test('a secret that nobody could use is refused before anything is connected, and not shown', async () => {
    using credentials = new TemporaryDirectory();
    credentials.write('rdpull.dhchap-secret', 'DHHC-1:00:bosZ+84LfVaRitl9h1S6sAlIMOiHTLLYYKjic+ljsFSupOFV:');
    const { status, stdout, stderr } = await rdpull(['attach', '--json', `nvme+tcp://127.0.0.1/${NQN}`], {
      env: { CREDENTIALS_DIRECTORY: credentials.path },
    });
    expect(status).toBe(2);
    expect(stderr).toContain('the credential rdpull.dhchap-secret cannot be used: its checksum is not that');
    expect(stdout + stderr).not.toMatch(/bosZ|pOFV/);
  });

  test('on a machine that was not booted over HTTP there is nothing to attach', async () => {
    const { status, stdout, stderr } = await rdpull(['attach', '--json', 'nvme+tcp:'], {
      wrapper: bootedMachine({}),
    });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ skipped: 'no boot URL' });
    expect(stderr).toContain(
      'this machine was not booted over HTTP (no boot URL in the EFI variables): nothing to attach',
    );
  });

  test.each([
    [
      ['nvme+tcp://h/image.raw'],
      '"nvme+tcp://h/image.raw" names no subsystem: "image.raw" does not start with "nqn."',
    ],
    [['nvme+tcp://user:secret@h'], 'holds a login, which NVMe has none of'],
    [['--dhcporigin=perhaps', 'nvme+tcp:'], '--dhcporigin=perhaps is not valid'],
    [
      ['--dhcporigin=only', 'nvme+tcp://h'],
      '--dhcporigin says who the server is, and the URL does so already',
    ],
    [['--patience=x', 'nvme+tcp://h'], '--patience=x is not valid'],
    [['--root-link=/run/x', '/image.raw'], '--root-link is for a disk on a server, and /image.raw is a file'],
  ])('%j is refused before anything is done', async (args, message) => {
    const { status, stderr } = await rdpull(['attach', ...args]);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('secret');
  });
});

test('nothing is pulled from such a URL: the error says what to do instead', async () => {
  for (const operand of ['nvme+tcp://h', 'raw,machine,verify=no:root:nvme+tcp://h']) {
    const { status, stderr } = await rdpull(['pull', operand]);
    expect(status).toBe(2);
    expect(stderr).toBe(
      'rdpull: error: nothing is pulled from "nvme+tcp://h": it leads to a disk that stays on the server\nrdpull: try: attach it: rdpull attach nvme+tcp://h\n',
    );
  }
});

describe('detach', () => {
  test.each([
    ['nvme+tcp://127.0.0.1:4420', 'nothing of nvme+tcp://127.0.0.1:4420 is attached'],
    ['/dev/nvme98n1', '/dev/nvme98n1 is no disk of an NVMe server'],
  ])('of %s, which is not attached', async (operand, message) => {
    const { status, stderr } = await rdpull(['detach', operand]);
    expect(status).toBe(15);
    expect(stderr).toContain(`rdpull: error: ${message}\n`);
  });
});
