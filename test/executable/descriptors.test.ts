import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { rdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';

const work = new TemporaryDirectory();
beforeAll(() => {
  work.write('image.raw.xz', run(['xz'], { input: Buffer.from('an image\n'.repeat(100_000)) }));
  run(['sh', '-c', 'sha256sum image.raw.xz > SHA256SUMS'], { cwd: work.path });
  const tree = ['sh', '-c', 'mkdir -p t/a/b/c && echo x > t/a/b/c/file && tar -cf tree.tar -C t .'];
  run(tree, { cwd: work.path });
});
afterAll(() => work[Symbol.dispose]());

const server = startWebServer(work.path);
afterAll(() => server[Symbol.asyncDispose]());
const byName = server.url.replace('127.0.0.1', 'localhost');

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  'a pull of an image': ['pull', '--verify=checksum', '--force', `file://${work.file('image.raw.xz')}`],
  'a pull of a tree': ['pull', '--verify=no', '--force', `file://${work.file('tree.tar')}`],
  'a pull from a server': ['pull', '--verify=no', '--force', '--patience=0', `${server.url}/image.raw.xz`],
  'a check of a file on a server': ['verify', '--verify=checksum', `${server.url}/image.raw.xz`],
  'and one whose server has a name': ['verify', '--verify=checksum', `${byName}/image.raw.xz`],
  'what a boot would come to': ['check', `tar,machine,verify=no:x:${byName}/tree.tar`],
  'a check of a file': ['verify', '--verify=checksum', work.file('image.raw.xz')],
};

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** What failed: the command, or what `check` has looked at. */
function failures(printed: {
  readonly error?: Failure;
  readonly checks?: readonly { readonly state: string; readonly code: string; text: string; hint: string }[];
}): readonly Failure[] {
  const { error, checks = [] } = printed;
  if (error !== undefined) return [error];
  return checks
    .filter(({ state }) => state === 'failure')
    .map(({ code, text, hint }) => ({ code, message: text, hint }));
}

describe('with too few descriptors', () => {
  test.each(Object.entries(COMMANDS))('%s says so, or goes well', async (_, [command = '', ...args]) => {
    const root = command === 'pull' ? [`--image-root=${work.file('images')}`] : [];
    const codes = new Set<string>();
    for (let limit = 4; limit < 24; limit++) {
      // The runtime takes as many as it may have, and root may have any number.
      const wrapper = ['setpriv', '--bounding-set', '-sys_resource', 'prlimit', `--nofile=${limit}`];
      const { status, stdout, stderr } = await rdpull([command, '--json', ...root, ...args], { wrapper });
      if (status === 0) continue;
      // The runtime itself needs some to start, and to start the thread of a transfer.
      const isOfRuntime = stderr.includes('bun ran out of file descriptors');
      if (isOfRuntime) continue;
      expect(status).toBe(14);
      for (const { code, message, hint } of failures(JSON.parse(stdout))) {
        codes.add(code);
        expect({ code, message, hint }).toEqual({
          code: 'descriptors-exhausted',
          message: expect.stringMatching(/EMFILE.*; this process may have no more files open \(EMFILE\)$/),
          hint: 'let it have more: ulimit -n 1024 in a shell, LimitNOFILE=1024 in a unit',
        });
      }
    }
    expect(codes).toContain('descriptors-exhausted');
  });
});
