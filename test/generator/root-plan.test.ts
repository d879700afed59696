import { afterAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { generateInto, settings, treeNames } from './generator-run.ts';

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());

/** The names and the warnings that a command line of an initrd yields, and the text of any of the files. */
function generated(commandLine: string, inInitrd = true) {
  const root = fs.mkdtempSync(directory.file('root-'));
  const warnings = generateInto(root, commandLine, { inInitrd });
  return {
    names: treeNames(root),
    warnings,
    text: (name: string) => fs.readFileSync(`${root}/${name}`, 'utf8'),
  };
}

const SYSROOT = 'early/sysroot.mount';

describe('the image becomes /sysroot', () => {
  test('when it is the only machine image, whatever else is pulled, and there is no root=', () => {
    const { names, text, warnings } = generated(
      'rd.systemd.pull=raw,sysext:e:http://h/e rd.systemd.pull=raw,machine:r:http://h/r rd.systemd.pull=tar,portable:p:http://h/p',
    );
    expect(warnings).toEqual([]);
    expect(names).toContain(SYSROOT);
    expect(settings(text(SYSROOT), 'Requires')).toEqual(['rdpull@run-machines-r.raw.service']);
    expect(names).toContain('early/initrd-root-fs.target.requires/sysroot.mount');
    const [start = ''] = settings(text('normal/rdpull@run-machines-r.raw.service'), 'ExecStart');
    expect(start).toContain('--root-link=/run/rdpull/root');
    expect(start).toContain('--blockdev');
  });

  test('when root=bind: names it, however many others there are', () => {
    const { names, text } = generated(
      'root=bind:/run//machines/b/ rd.systemd.pull=tar,machine:a:http://h/a rd.systemd.pull=tar,machine:b:http://h/b',
    );
    expect(names).toContain(SYSROOT);
    expect(settings(text(SYSROOT), 'What')).toEqual(['/run/machines/b']);
    expect(settings(text('normal/rdpull@run-machines-b.service'), 'IgnoreOnIsolate')).toEqual(['yes']);
    expect(settings(text('normal/rdpull@run-machines-a.service'), 'IgnoreOnIsolate')).toEqual([]);
  });
});

describe('the image does not become /sysroot', () => {
  const ONE = 'rd.systemd.pull=raw,machine:r:http://h/r';

  test.each([
    ['when root= says where the root is', `${ONE} root=/dev/sda2`],
    ['when /usr comes from elsewhere', `${ONE} mount.usr=/dev/sda2`],
    ['when a verity hash finds the root', `${ONE} roothash=abc`],
    ['when a verity hash finds /usr', `${ONE} usrhash=abc`],
    ['when systemd dissects it', `${ONE} root=dissect systemd.image_policy=root=signed`],
    [
      'when root=bind: names another directory',
      `rd.systemd.pull=tar,machine:r:http://h/r root=bind:/run/machines/x`,
    ],
    ['when root=bind: names a raw image', `${ONE} root=bind:/run/machines/r`],
    ['when it is for another class', 'rd.systemd.pull=raw,portable:r:http://h/r'],
  ])('%s', (_, commandLine) => {
    const { names, warnings } = generated(commandLine);
    expect(warnings).toEqual([]);
    expect(names).not.toContain(SYSROOT);
  });

  test('when it lies beside the UKI, and the machine was not booted over HTTP: nothing is pulled at all', () => {
    const root = fs.mkdtempSync(directory.file('root-'));
    const warnings = generateInto(root, 'rd.systemd.pull=raw,machine,bootorigin::', { lacksBootUrl: true });
    expect(treeNames(root)).toEqual([]);
    expect(warnings).toEqual([
      'pull expression "raw,machine,bootorigin::" is left out: this machine was not booted over HTTP',
    ]);
  });

  test.each(['raw,machine,dhcporigin::', 'raw,machine,bootorigin,dhcporigin::'])(
    'but not %s',
    (expression) => {
      const root = fs.mkdtempSync(directory.file('root-'));
      expect(generateInto(root, `rd.systemd.pull=${expression}`, { lacksBootUrl: true })).toEqual([]);
      expect(treeNames(root)).toContain(SYSROOT);
    },
  );

  test('on the host', () => {
    expect(generated('systemd.pull=raw,machine:r:http://h/r', false).names).not.toContain(SYSROOT);
  });

  test('when there are two, and says how to choose', () => {
    const { names, warnings } = generated(`${ONE} rd.systemd.pull=tar,machine:s:http://h/s`);
    expect(names).not.toContain(SYSROOT);
    expect(warnings).toEqual([
      'there is no root= on the kernel command line, and 2 machine images are pulled: none of them becomes the root file system; name one with root=bind:/run/machines/NAME (tar) or root=/dev/disk/by-loop-ref/NAME.raw-partN (raw, with blockdev)',
    ]);
  });

  test.each([
    ['systemd.image_policy=root=signed', 'raw'],
    ['systemd.image-policy=', 'raw'],
    ['systemd.image_policy', 'raw'],
    ['systemd.image_filter=root=trusted_*', 'raw'],
    // A tree has no protection at all.
    ['systemd.image_policy=root=signed', 'tar'],
  ])('when %s forbids what only systemd can judge (%s), and says what to do', (rule, type) => {
    const { names, warnings } = generated(`rd.systemd.pull=${type},machine:r:http://h/r ${rule}`);
    expect(names).not.toContain(SYSROOT);
    expect(names.join()).not.toContain('50-root-device.conf');
    expect(warnings).toEqual([
      `/run/machines/r${type === 'raw' ? '.raw' : ''} does not become the root file system: systemd alone obeys "${rule}", and mounts nothing without root=; pull a signed image with raw,machine,blockdev and the local name rootdisk, and say root=dissect (systemd 258 or later)`,
    ]);
  });

  test('when it would vanish with the initrd, and says so', () => {
    const { names, warnings } = generated('rd.systemd.pull=tar,machine,runtime=no:r:http://h/r');
    expect(names).not.toContain(SYSROOT);
    expect(warnings).toEqual([
      '/var/lib/machines/r does not become the root file system: it is in the memory of the initrd, which is emptied on the way to the real root; leave out runtime=, and give it a plain local name',
    ]);
  });

  test('when no unit can name it, and says so', () => {
    const { names, warnings } = generated('rd.systemd.pull=tar,machine:r\\\\:http://h/r');
    expect(names).not.toContain(SYSROOT);
    expect(names).toContain('normal/rdpull@run-machines-r\\x5c.service');
    expect(warnings.join()).toContain('it ends with a backslash');
  });
});

describe('sysroot.mount', () => {
  test('takes rw, ro, rootfstype= and rootflags= over', () => {
    const raw = 'rd.systemd.pull=raw,machine:r:http://h/r';
    const mount = (more: string) => generated(`${raw} ${more}`).text(SYSROOT);
    expect(settings(mount(''), 'Options')).toEqual(['ro']);
    expect(settings(mount('ro rw'), 'Options')).toEqual(['rw']);
    expect(settings(mount('rootflags=noatime rootflags=data=journal,x%y'), 'Options')).toEqual([
      'ro,noatime,data=journal,x%%y',
    ]);
    expect(settings(mount(''), 'Type')).toEqual([]);
    expect(settings(mount('rootfstype=ext4'), 'Type')).toEqual(['ext4']);
  });

  test('ignores what would be more than an option, and says so', () => {
    const { warnings, text } = generated(
      'rd.systemd.pull=raw,machine:r:http://h/r "rootflags=a\nExecStart=/bin/evil" "rootfstype=x\n[Install]"',
    );
    expect(settings(text(SYSROOT), 'Options')).toEqual(['ro']);
    expect(text(SYSROOT)).not.toContain('evil');
    expect(text(SYSROOT)).not.toContain('Install');
    expect(warnings).toEqual([
      'rootflags="a\\x0aExecStart=/bin/evil" is ignored: it contains a control character',
      'rootfstype="x\\x0a[Install]" is ignored: it is no file system\'s name',
    ]);
  });

  test.each([
    ['', /(?<!\w)rw(?!\w)/],
    ['ro', /(?<!\w)ro(?!\w)/],
  ])('mounts a tree out of a nosuid, nodev, noexec directory with all of that at work (%p)', (word, mode) => {
    const { text } = generated(`rd.systemd.pull=tar,machine:r:http://h/r ${word}`);
    const [options = ''] = settings(text(SYSROOT), 'Options');
    const script = [
      'set -e; cd "$(mktemp -d)"; mkdir run sysroot',
      'mount -t tmpfs -o nosuid,nodev,noexec,strictatime none run; mkdir run/r',
      `mount -o '${options}' run/r sysroot; findmnt -no OPTIONS sysroot; umount sysroot run; rmdir run sysroot "$PWD"`,
    ];
    const effective = run(['unshare', '-m', 'bash', '-c', script.join('\n')]).toString();
    expect(effective).toMatch(mode);
    expect(effective).not.toMatch(/nosuid|nodev|noexec/);
  });
});

describe('the device that root= waits for', () => {
  const TWO =
    'rd.systemd.pull=raw,machine,blockdev:a:http://h/a rd.systemd.pull=raw,machine,blockdev:b:http://h/b';

  test('starts its time-out after the pull, and fails with it, when it comes from one image', () => {
    const { text } = generated(`${TWO} root=/dev/disk/by-loop-ref/b.raw-part2`);
    const dropIn = text('normal/dev-disk-by\\x2dloop\\x2dref-b.raw\\x2dpart2.device.d/40-rdpull.conf');
    expect(settings(dropIn, 'Requires')).toEqual(['rdpull@run-machines-b.raw.service']);
    expect(settings(dropIn, 'After')).toEqual(['rdpull@run-machines-b.raw.service']);
  });

  test('starts its time-out after all pulls when it may come from any', () => {
    const { text } = generated(`${TWO} root=UUID=1-2`);
    const dropIn = text('normal/dev-disk-by\\x2duuid-1\\x2d2.device.d/40-rdpull.conf');
    expect(settings(dropIn, 'Requires')).toEqual([]);
    expect(settings(dropIn, 'After')).toEqual([
      'rdpull@run-machines-a.raw.service',
      'rdpull@run-machines-b.raw.service',
    ]);
  });

  test('starts its time-out after the pull when systemd dissects the image', () => {
    const { names, text } = generated(
      'root=dissect systemd.image_policy=root=signed rd.systemd.pull=raw,machine,blockdev:rootdisk:http://h/r',
    );
    expect(names).not.toContain(SYSROOT);
    const dropIn = text('normal/dev-disk-by\\x2ddesignator-root.device.d/40-rdpull.conf');
    expect(settings(dropIn, 'Requires')).toEqual(['rdpull@run-machines-rootdisk.raw.service']);
  });

  test('is left alone when no image becomes a device, and when its name fits no unit', () => {
    const plain = generated('root=UUID=1-2 rd.systemd.pull=raw,machine:a:http://h/a');
    expect(plain.names.join()).not.toContain('.device.d');
    const long = generated(`${TWO} root=LABEL=${'ä'.repeat(100)}`);
    expect(long.names.join()).not.toContain('.device.d');
    expect(long.names).toContain('normal/rdpull@run-machines-a.raw.service');
    expect(long.warnings.join()).toStartWith(
      'the time-out of the root device is not lifted: no unit can be named after',
    );
  });
});
