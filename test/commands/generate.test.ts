import { afterAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { GENERATE_HELP } from '../../src/commands/generate.ts';
import { type Finished, finished, RDPULL, rdpull, startRdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { showTree, treeNames } from '../generator/generator-run.ts';

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());

const ONE = 'quiet rd.systemd.pull=raw,machine:root:http://h/root.raw';
const UNIT = 'normal/rdpull@run-machines-root.raw.service';

/** Runs the executable as systemd does in an initrd, on a command line; `root` gets the three directories. */
function generate(
  root: string,
  commandLine: string,
  options: { env?: Record<string, string>; wrapper?: string[]; executable?: string; args?: string[] } = {},
): Promise<Finished> {
  const { env, args = ['generate'], ...others } = options;
  return rdpull([...args, `${root}/normal`, `${root}/early`, `${root}/late`], {
    env: { SYSTEMD_IN_INITRD: '1', SYSTEMD_PROC_CMDLINE: commandLine, ...env },
    ...others,
  });
}

function freshRoot(): string {
  const root = fs.mkdtempSync(directory.file('root-'));
  for (const name of ['normal', 'early', 'late']) fs.mkdirSync(`${root}/${name}`);
  return root;
}

describe('rdpull generate', () => {
  test('writes units that call the executable by its real path, also when it is called through a link', async () => {
    const link = directory.file('systemd-import-generator');
    fs.symlinkSync(RDPULL, link);
    const root = freshRoot();
    const { status, stderr } = await generate(root, ONE, { executable: link, args: [] });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(fs.readFileSync(`${root}/${UNIT}`, 'utf8')).toContain(`ExecStart=:${RDPULL} pull --type=raw`);

    const byName = freshRoot();
    expect((await generate(byName, ONE)).status).toBe(0);
    expect(showTree(byName)).toBe(showTree(root));
  });

  test('puts everything into one directory when there is only one', async () => {
    const root = freshRoot();
    const { status } = await rdpull(['generate', root], {
      env: { SYSTEMD_IN_INITRD: '1', SYSTEMD_PROC_CMDLINE: ONE },
    });
    expect(status).toBe(0);
    expect(treeNames(root)).toEqual([
      'imports-pre.target',
      'imports.target',
      'imports.target.wants/rdpull@run-machines-root.raw.service',
      'initrd-root-device.target.d/50-root-device.conf',
      'initrd-root-fs.target.requires/sysroot.mount',
      'initrd-switch-root.target.d/50-rdpull-network.conf',
      'initrd-usr-fs.target.requires/sysroot.mount',
      'rdpull@run-machines-root.raw.service',
      'sysinit.target.wants/imports.target',
      'sysroot.mount',
    ]);
  });

  test('does it again with the same result', async () => {
    const root = freshRoot();
    await generate(root, `${ONE} root=/dev/disk/by-loop-ref/x`);
    const before = showTree(root);
    const { status, stderr } = await generate(root, `${ONE} root=/dev/disk/by-loop-ref/x`);
    expect([status, stderr]).toEqual([0, '']);
    expect(showTree(root)).toBe(before);
  });

  test('writes nothing when nothing is asked for', async () => {
    const root = freshRoot();
    expect((await generate(root, 'quiet root=/dev/sda2 systemd.pull=raw,machine:a:http://h/a')).status).toBe(
      0,
    );
    expect(treeNames(root)).toEqual([]);
  });

  test('reads the credential, and without $SYSTEMD_PROC_CMDLINE the kernel', async () => {
    const root = freshRoot();
    directory.write(
      'import.pull',
      ['', '  # a comment', '  raw,portable:a:http://h/a  ', '', 'nonsense', ''].join('\n'),
    );
    const { status, stderr } = await rdpull(['generate', `${root}/normal`, `${root}/early`, `${root}/late`], {
      env: { SYSTEMD_IN_INITRD: '1', CREDENTIALS_DIRECTORY: directory.path },
    });
    expect(status).toBe(0);
    expect(stderr).toBe(
      'rdpull: pull expression "nonsense" names no local image; write OPTIONS:LOCAL:REMOTE, for example raw,machine:root:https://example.com/root.raw.xz\n',
    );
    expect(treeNames(`${root}/normal`)).toContain('rdpull@run-portables-a.raw.service');
  });

  test('fails when it cannot write, and says where', async () => {
    const root = freshRoot();
    fs.rmdirSync(`${root}/normal`);
    fs.writeFileSync(`${root}/normal`, '');
    const { status, stderr } = await generate(root, ONE);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^rdpull: no units are written: open\(\S+\/normal\/\S+\): ENOTDIR\n$/);
    expect(stderr).toContain(`${root}/normal`);
  });

  test.each([[[]], [['a', 'b']], [['a', 'b', 'c', 'd']], [['a', '', 'c']]])(
    'takes one directory or three, not %p',
    async (args) => {
      const { status, stderr } = await rdpull(['generate', ...args], { cwd: directory.path });
      expect(status).toBe(2);
      expect(stderr).toBe(
        `rdpull: error: generate takes one directory or three, and not ${args.length === 3 ? 'an empty name' : `${args.length} arguments`}\n` +
          'rdpull: try: rdpull generate NORMAL EARLY LATE\n',
      );
    },
  );

  test('explains itself', async () => {
    expect((await rdpull(['generate', '--help'])).stdout).toBe(GENERATE_HELP);
  });
});

describe('what systemd demands of a generator:', () => {
  test('it writes only below its directories and into the log of the kernel, and speaks to nobody', async () => {
    const root = freshRoot();
    const trace = directory.file('trace');
    const { status, stderr } = await generate(root, `${ONE} rd.systemd.pull=nonsense`, {
      wrapper: ['strace', '-f', '-qq', '-y', '-s', '400', '-o', trace],
      env: { SYSTEMD_SCOPE: 'system' },
    });
    expect([status, stderr]).toEqual([0, '']);
    const lines = fs.readFileSync(trace, 'utf8').split('\n');
    const calls = (names: string) => lines.filter((line) => new RegExp(`^\\d+ +(?:${names})\\(`).test(line));
    const written = calls('open|openat|creat').filter((line) => /O_(?:WRONLY|RDWR|CREAT|TMPFILE)/.test(line));
    const changed = calls(
      'mkdir|mkdirat|symlink|symlinkat|unlink|unlinkat|rename\\w*|rmdir|link|linkat|truncate|mknod\\w*|chmod|fchmodat|chown',
    );
    const outside = [...written, ...changed].filter(
      (line) => !line.includes(`"${root}/`) && !line.includes('"/dev/kmsg"'),
    );
    expect(outside).toEqual([]);
    expect(written.filter((line) => line.includes('"/dev/kmsg"')).length).toBe(1);
    expect(
      calls('socket|connect|bind|mount|umount2|execve|clone3?|fork|vfork').filter(
        (line) => !/CLONE_THREAD|execve\(/.test(line),
      ),
    ).toEqual([]);
    expect(calls('execve').length).toBe(1);
    const [record = ''] = calls('write').filter((line) => line.includes('/dev/kmsg'));
    expect(record).toContain('"<4>rdpull-generator: pull expression \\"nonsense\\" names no local image');
  });

  test('a flood of wrong expressions is cut short in the log, and none stops those that are right', async () => {
    const root = freshRoot();
    const wrong = Array.from({ length: 10_000 }, (_, index) => `rd.systemd.pull=x${index}`).join('\n');
    // Longer than an environment variable may be: it comes as a credential.
    directory.write(
      'import.pull',
      `${wrong.replaceAll('rd.systemd.pull=', '')}\nraw,portable:ok:http://h/ok\n`,
    );
    const { status, stderr } = await generate(root, ONE, { env: { CREDENTIALS_DIRECTORY: directory.path } });
    expect(status).toBe(0);
    const lines = stderr.trimEnd().split('\n');
    expect(lines.length).toBe(51);
    expect(lines.at(-1)).toBe('rdpull: and 9,950 more lines like these');
    expect(treeNames(`${root}/normal`)).toContain('rdpull@run-portables-ok.raw.service');
  });

  test('a thousand right ones become a thousand units', async () => {
    const root = freshRoot();
    const right = Array.from({ length: 1_000 }, (_, index) => `raw,portable:i${index}:http://h/i`).join('\n');
    directory.write('import.pull', right);
    const running = startRdpull(['generate', `${root}/normal`, `${root}/early`, `${root}/late`], {
      env: {
        SYSTEMD_IN_INITRD: '1',
        SYSTEMD_PROC_CMDLINE: 'root=/dev/sda',
        CREDENTIALS_DIRECTORY: directory.path,
      },
    });
    expect((await finished(running)).status).toBe(0);
    // 0.3 s of its own, whatever else the machine does: none of it grows with the square of their number.
    expect(Number(running.resourceUsage()?.cpuTime.user)).toBeLessThan(3_000_000);
    expect(treeNames(`${root}/normal`).filter((name) => name.endsWith('.service')).length).toBe(2_000);
  });
});

describe('a hostile command line puts no line of its own into any file:', () => {
  const EVIL = '\nExecStart=/bin/evil\n[Install]\nAlias=evil.service\n';
  test.each([
    ['local name', `"rd.systemd.pull=raw,machine:a${EVIL}:http://h/a"`],
    ['URL', `"rd.systemd.pull=raw,machine:a:http://h/a${EVIL}"`],
    ['carriage return', '"rd.systemd.pull=raw,machine:a:http://h/a\rExecStart=/bin/evil"'],
    ['boot origin', `"rd.systemd.pull=raw,machine,bootorigin:a:a${EVIL}"`],
    ['boot origin without a name', `"rd.systemd.pull=raw,machine,bootorigin::a${EVIL}"`],
    ['digest', `"rd.systemd.pull=raw,machine,verify=sha256:${EVIL}:a:http://h/a"`],
    ['actions', `"rd.systemd.pull.success_action=reboot${EVIL}" "rd.systemd.pull.failure_action=${EVIL}"`],
    ['file system', `"rootfstype=ext4${EVIL}"`],
    ['options', `"rootflags=a${EVIL}"`],
    ['bind', `"root=bind:/run/machines/root${EVIL}"`],
    ['label', `"root=LABEL=a${EVIL}" rd.systemd.pull=raw,machine,blockdev:b:http://h/b`],
    ['device', `"root=/dev/a${EVIL}" rd.systemd.pull=raw,machine,blockdev:b:http://h/b`],
  ])('%s', async (_, evil) => {
    const root = freshRoot();
    const { status, stderr } = await generate(root, `${ONE} ${evil}`);
    expect(status).toBe(0);
    expect(stderr.replaceAll('\n', '')).not.toMatch(/[\x00-\x1f]/);
    const tree = showTree(root);
    expect(tree).toContain(UNIT);
    expect(tree).not.toMatch(/^(?:ExecStart=\/bin\/evil|\[Install\]|Alias=)/m);
  });

  test('an overlong line of a credential is left out, and said to be', async () => {
    const root = freshRoot();
    directory.write(
      'import.pull',
      `raw,portable:a:http://h/${'a'.repeat(3000)}\nraw,portable:b:http://h/b\n`,
    );
    const { stderr } = await generate(root, 'quiet', { env: { CREDENTIALS_DIRECTORY: directory.path } });
    expect(stderr).toBe(
      'rdpull: line 1 of the credential import.pull is ignored: it is 3024 bytes long, 2048 is the limit\n',
    );
    expect(
      treeNames(`${root}/normal`).filter((name) => name.endsWith('.service') && !name.includes('/')),
    ).toEqual(['rdpull@run-portables-b.raw.service']);
  });

  test.each([
    ['with a key of this machine', true],
    ['under another name', false],
    ['by nobody', false],
  ])('a credential that was encrypted %s', async (how, good) => {
    const root = freshRoot();
    const encrypted = directory.file(how);
    fs.mkdirSync(encrypted);
    if (how === 'by nobody') fs.writeFileSync(`${encrypted}/import.pull`, 'xyz');
    else {
      const name = good ? 'import.pull' : 'import.other';
      run(
        ['systemd-creds', 'encrypt', '--with-key=host', `--name=${name}`, '-', `${encrypted}/import.pull`],
        {
          input: Buffer.from('# ours\nraw,portable,verify=no:a:https://fleet.example/secret-path/a.raw\n'),
        },
      );
    }
    const { status, stderr } = await generate(root, 'quiet', {
      env: { ENCRYPTED_CREDENTIALS_DIRECTORY: encrypted, CREDENTIALS_DIRECTORY: '/nonexistent' },
    });
    expect(status).toBe(0);
    if (good) {
      expect(stderr).toBe('');
      expect(treeNames(`${root}/normal`)).toContain('rdpull@run-portables-a.raw.service');
    } else {
      expect(stderr).toMatch(
        /^rdpull: the credential import\.pull is ignored: it is encrypted, and systemd-creds cannot decrypt it: .+\n$/,
      );
    }
  });
});
