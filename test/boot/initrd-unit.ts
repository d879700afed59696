import type { InitrdFile } from './initrd.ts';

/**
 * Files of an initrd that runs a command when the network is up, as a person would on the machine; the root file system waits for it. What
 * it says is on the console.
 */
export function runsBeforeRoot(command: string): Record<string, InitrdFile> {
  const unit = `[Unit]
DefaultDependencies=no
Wants=network-online.target
After=network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${command}
StandardOutput=tty
StandardError=tty
`;
  const wanted = '[Unit]\nWants=lab-command.service\nAfter=lab-command.service\n';
  return {
    'etc/systemd/system/lab-command.service': { content: unit },
    'etc/systemd/system/initrd-root-fs.target.d/lab.conf': { content: wanted },
  };
}

/**
 * Files of an initrd that says on the console which addresses come and go, from before the network is up until the machine is off: the
 * process lives on in the real root by its name and its unit, which goes there with /run.
 */
export function watchesAddresses(): Record<string, InitrdFile> {
  const name = 'lab-addresses.service';
  const unit = `[Unit]
DefaultDependencies=no
IgnoreOnIsolate=yes
Before=systemd-networkd.service
[Service]
ExecStartPre=/bin/sh -c 'mkdir -p /run/systemd/system && cp /etc/systemd/system/${name} /run/systemd/system/'
ExecStart=@/usr/bin/ip @ip -4 -oneline monitor address
StandardOutput=tty
StandardError=tty
`;
  return {
    [`etc/systemd/system/${name}`]: { content: unit },
    'etc/systemd/system/sysinit.target.d/lab.conf': { content: `[Unit]\nWants=${name}\n` },
  };
}
