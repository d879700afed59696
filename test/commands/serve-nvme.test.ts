import { afterEach, beforeEach, expect, test } from 'bun:test';
import fs from 'node:fs';
import { rdpull } from '../fixtures/executable.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** What the kernel exports is shown in virtual machines: test/boot/scenarios/nvme-serve.ts. */
let served: TemporaryDirectory;
beforeEach(() => {
  served = new TemporaryDirectory();
});
afterEach(() => served[Symbol.dispose]());

const serve = (...args: string[]) =>
  rdpull(['serve', '--port=0', '--address=127.0.0.1', served.path, ...args]);

test.each(['wr', 'ro,rw', 'RW'])('--nvme=%s is refused before anything is done', async (mode) => {
  const { status, stdout, stderr } = await serve(`--nvme=${mode}`);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toBe(
    `rdpull: error: --nvme=${mode} is not valid\n` +
      'rdpull: try: write --nvme=ro, which is --nvme alone, or --nvme=rw for one machine that writes to its image\n',
  );
});

test('another option that is wrong is told first: nothing was asked of the kernel', async () => {
  const { status, stderr } = await serve('--nvme', '--passphrase=/none');
  expect(status).toBe(2);
  expect(stderr).toContain('--passphrase=FILE is for a secret key');
});

test('who is not root is told so, and nothing is served', async () => {
  fs.chmodSync(served.path, 0o755);
  const args = ['serve', '--port=0', '--nvme', served.path];
  const { status, stdout, stderr } = await rdpull(args, { user: 'nobody' });
  expect({ status, stdout }).toEqual({ status: 15, stdout: '' });
  expect(stderr).toBe(
    'rdpull: error: exporting over NVMe needs root (CAP_SYS_ADMIN)\nrdpull: try: run it again as root\n',
  );
});

test.skipIf(fs.existsSync('/sys/kernel/config/nvmet'))(
  'a kernel that has no target: what is missing, and how to get it',
  async () => {
    const { status, stdout, stderr } = await serve('--nvme', '--json');
    expect(status).toBe(15);
    expect(stderr).toContain('nvmet');
    const { error } = JSON.parse(stdout);
    expect(error.code).toBe('nvme-target-missing');
    expect(error.message).toStartWith('this kernel cannot export over NVMe: ');
    expect(error.hint).toContain('modprobe -a nvmet nvmet-tcp loop');
  },
);

test.each([
  [['--nvme'], '--take-back serves nothing, so that --nvme has no meaning'],
  [['--port=1'], '--take-back serves nothing, so that --port has no meaning'],
  [['images'], '--take-back serves nothing, and was given images'],
])('serve --take-back %p is refused', async (more, what) => {
  const { stderr, status } = await rdpull(['serve', '--take-back', ...more]);
  expect(stderr).toStartWith(`rdpull: error: ${what}\n`);
  expect(status).toBe(2);
});
