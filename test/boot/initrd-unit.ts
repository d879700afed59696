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
