/** One boot whose units are compared with golden/NAME.txt. */
export interface GoldenCase {
  readonly name: string;
  readonly commandLine: string;
  /** The lines of the credential import.pull that count. */
  readonly credential?: readonly string[];
  readonly inInitrd: boolean;
  /** What exists on the machine, in directories that exist as well. */
  readonly exists?: readonly string[];
}

const DIGEST = '0123456789abcdef'.repeat(4);

export const GOLDEN_CASES: readonly GoldenCase[] = [
  {
    name: 'nothing-asked',
    commandLine: 'quiet root=/dev/sda2 systemd.pull=raw,machine:host-only:http://h/x.raw',
    inInitrd: true,
  },
  {
    name: 'raw-without-root',
    commandLine: 'quiet rd.systemd.pull=raw,machine,verify=no:root:http://192.168.100.1:8081/image.raw.xz',
    inInitrd: true,
  },
  {
    name: 'raw-without-root-writable',
    commandLine:
      'rd.systemd.pull=raw,machine,ro::https://h/root%20disk.img rw rootfstype=ext4 rootflags=noatime rootflags=x%y',
    inInitrd: true,
  },
  {
    name: 'tar-without-root',
    commandLine: `"rd.systemd.pull=tar,machine,verify=sha256:${DIGEST}:my root:http://user:secret@h/root.tar.zst"`,
    inInitrd: true,
  },
  {
    name: 'oci-without-root',
    commandLine: `rd.systemd.pull=oci,machine:root:registry.example.com:5000/os/image:42@sha256:${DIGEST}`,
    inInitrd: true,
  },
  {
    name: 'oci-bind',
    commandLine:
      'rd.systemd.pull=oci,machine,verify=no::http://10.0.2.2:5000/os/image root=bind:/run/machines/image ro',
    inInitrd: true,
  },
  {
    name: 'tar-bind',
    commandLine: 'rd.systemd.pull=tar,machine:root:http://h/root.tar.xz root=bind:/run/machines/root ro',
    inInitrd: true,
  },
  {
    name: 'loop-ref-root',
    commandLine:
      'rd.systemd.pull=verify=no,machine,blockdev,bootorigin,raw:root:image.raw root=/dev/disk/by-loop-ref/root.raw-part1',
    inInitrd: true,
  },
  {
    name: 'label-root-and-usr',
    commandLine:
      '"root=LABEL=my root" mount.usr=PARTUUID=ab-cd rd.systemd.pull=raw,machine,blockdev:a:http://h/a.raw rd.systemd.pull=raw,portable,blockdev:b:http://h/b.raw',
    inInitrd: true,
  },
  {
    name: 'gpt-auto-rootdisk',
    commandLine: 'root=gpt-auto rd.systemd.pull=raw,machine,blockdev:rootdisk:http://h/a.raw',
    inInitrd: true,
  },
  {
    name: 'cache',
    commandLine:
      '"rd.rdpull.cache=LABEL=my images,cache-size=8G,tries=5" rd.systemd.pull=raw,machine,bootorigin:: rd.systemd.pull=raw,sysext,on-demand,verify=no:x:http://h/x.raw',
    inInitrd: true,
  },
  {
    name: 'cache-wrong',
    commandLine:
      'rd.rdpull.cache=/dev/disk/by-id/x,cachesize=8G,tries=0 rd.systemd.pull=tar,machine:root:http://h/root.tar.xz',
    inInitrd: true,
  },
  {
    name: 'boot-origin-unnamed',
    commandLine: 'rd.systemd.pull=raw,machine,bootorigin::',
    inInitrd: true,
  },
  {
    name: 'dhcp-origin-unnamed',
    commandLine: 'rd.systemd.pull=raw,machine,dhcporigin::',
    inInitrd: true,
  },
  {
    name: 'extensions-with-actions',
    commandLine:
      'root=/dev/sda2 rd.systemd.pull=raw,sysext:debug:http://h/debug.sysext.raw rd.systemd.pull=tar,confext:site:file:///srv/my%20images/site.tar rd.systemd.pull.success_action=none rd.systemd.pull.failure-action=reboot',
    inInitrd: true,
  },
  {
    name: 'host',
    commandLine:
      'systemd.pull=raw,machine:vm:http://h/vm.raw systemd.pull=raw,portable,blockdev:data:http://h/data.raw systemd.pull=tar,machine,runtime=yes:scratch:http://h/s.tar systemd.pull.success_action=poweroff',
    inInitrd: false,
  },
  {
    name: 'host-credential-after-initrd',
    commandLine: 'root=/dev/sda2',
    credential: [
      'raw,machine:root:http://h/root.raw',
      'raw,machine,runtime=yes:root:http://h/root.raw',
      'raw,machine:other:http://h/other.raw',
    ],
    inInitrd: false,
    exists: ['/run/machines/root.raw'],
  },
  {
    name: 'wrong-and-repeated',
    commandLine:
      'rd.systemd.pull=raw,machin:a:http://h/a rd.systemd.pull=raw,machine:a/b:http://h/a rd.systemd.pull=raw,machine:a:http://h/first rd.systemd.pull=tar,machine:a:http://h/tree rd.systemd.pull=raw,machine:a:http://h/second rd.systemd.pull',
    credential: ['raw,machine:a:http://h/third'],
    inInitrd: true,
  },
  {
    name: 'odd-characters',
    commandLine: `rd.systemd.pull=tar,portable:\\\\o'"'d"'"d$HOME;:"http://h/a%20b'c;d$x\\e f?g=\\" root=/dev/sda2`,
    inInitrd: true,
  },
  {
    name: 'server-credentials',
    commandLine:
      'rd.systemd.pull=raw,machine,bootorigin:root: rd.systemd.pull=raw,portable:local:file:///usr/lib/local.raw',
    inInitrd: true,
    exists: [
      '/run/credentials/@encrypted/rdpull.bearer',
      '/run/credentials/@system/rdpull.bearer',
      '/etc/credstore/rdpull.login',
    ],
  },
  {
    name: 'nvme',
    commandLine:
      'rd.systemd.pull=raw,machine,verify=no:root:nvme+tcp://192.168.47.11:4420/nqn.2023-10.io.systemd:storagetm.0123456789abcdef0123456789abcdef.image.raw rw',
    inInitrd: true,
    exists: ['/run/credentials/@system/rdpull.dhchap-secret', '/run/credentials/@system/rdpull.login'],
  },
  {
    name: 'nvme-boot-origin',
    commandLine: 'rd.systemd.pull=raw,machine,ro,overlay=tmpfs,verify=no,bootorigin::nvme+tcp: rw',
    inInitrd: true,
  },
  {
    name: 'nvme-loop-ref',
    commandLine:
      'rd.systemd.pull=raw,machine,verify=no,dhcporigin:root:nvme+tcp://:8009 root=/dev/disk/by-loop-ref/root.raw-part2',
    inInitrd: true,
  },
  {
    name: 'nvme-credential-after-initrd',
    commandLine: 'root=/dev/sda2',
    credential: ['raw,machine,verify=no:root:nvme+tcp://h', 'raw,machine:other:http://h/other.raw'],
    inInitrd: false,
    exists: ['/run/rdpull/nvme'],
  },
  {
    name: 'nvme-verify',
    commandLine: 'rd.systemd.pull=raw,machine:root:nvme+tcp://h',
    inInitrd: true,
  },
  {
    name: 'overlay-tmpfs',
    commandLine: 'quiet rw rd.systemd.pull=tar,machine,overlay=tmpfs:root:http://h/root.tar',
    inInitrd: true,
  },
  {
    name: 'overlay-label',
    commandLine:
      '"rd.systemd.pull=raw,machine,blockdev,overlay=LABEL=my data?:my root:http://h/a.raw" root=/dev/disk/by-loop-ref/my\\x20root.raw-part2',
    inInitrd: true,
  },
  {
    name: 'overlay-of-no-root',
    commandLine: 'root=/dev/sda2 rd.systemd.pull=raw,machine,blockdev,overlay=/dev/sda3:root:http://h/a.raw',
    inInitrd: true,
  },
  {
    name: 'ram-disk',
    commandLine: 'rw rd.systemd.pull=raw,machine,ramdisk:root:http://h/root.raw.xz',
    inInitrd: true,
  },
  {
    name: 'on-demand',
    commandLine: 'quiet rw rd.systemd.pull=raw,machine,on-demand,bootorigin:root:',
    inInitrd: true,
  },
  {
    name: 'on-demand-loop-ref',
    commandLine:
      'rd.systemd.pull=raw,machine,on-demand=require,fill=2M,verify=no:root:http://h/a.raw.xz root=/dev/disk/by-loop-ref/root.raw-part2 rd.systemd.pull.failure_action=reboot',
    inInitrd: true,
  },
];
