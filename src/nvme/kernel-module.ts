import fs from 'node:fs';
import { NVME_FABRICS } from '../kernel/nvme-fabrics.ts';

/** Where modprobe(8) is; the kernel itself looks for it at the first one. */
const MODPROBE = ['/sbin/modprobe', '/usr/sbin/modprobe'];

/** Loads the module for NVMe over TCP where it is not there. In an initrd systemd has done that already; what comes of it is seen when it is used. */
export function loadFabrics(): void {
  if (fs.existsSync(NVME_FABRICS)) return;
  const modprobe = MODPROBE.find((path) => fs.existsSync(path));
  if (modprobe !== undefined)
    Bun.spawnSync([modprobe, '--quiet', 'nvme-tcp'], { stdout: 'ignore', stderr: 'ignore' });
}
