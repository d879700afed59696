import path from 'node:path';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { quotedUrl, shownUrl } from '../console/shown-url.ts';
import { isNvmeUrl, parseNvmeUrl } from '../request/nvme-url.ts';
import type { Command } from './command.ts';
import type { DetachedJson, DetachedNamespaceJson } from './json-results.ts';
import { requirePath } from './pull-arguments.ts';

export const detach: Command = {
  name: 'detach',
  operand: 'FILE|DEVICE|URL',
  completes: 'loop-device',
  summary: 'detach the loop device of an image, or a disk that stays on an NVMe server',
  description: `Detaches a loop device, named by itself (/dev/loop3) or by the image behind it. When an image is attached
more than once, the device with the highest number goes first.

A disk on an NVMe server is named by itself (/dev/nvme0n1), or by as much of its URL as tells it from the others
(nvme+tcp://HOST).`,
  options: [],
  async run(line, { reporter, signal }) {
    if (isNvmeUrl(line.operand) || isNvmeDisk(line.operand)) {
      const detached = await detachNvme(line.operand, signal);
      reporter.info(`${detached.device} (${shownUrl(detached.url)}) is detached`);
      reporter.result([], detached satisfies DetachedNamespaceJson);
      return;
    }
    requirePath('detach', line.operand, 'name the image or its device: rdpull status shows both');
    const { detachLoopDevice } = await import('../expose/loop-detach.ts');
    const { removeLoopRefFile } = await import('../expose/loop-ref-file.ts');
    const { device, backingFile } = await detachLoopDevice(path.resolve(line.operand), { signal });
    removeLoopRefFile(backingFile);
    reporter.info(`${device} (${printable(backingFile)}) is detached`);
    reporter.result([], { device, backingFile } satisfies DetachedJson);
  },
};

/** Whether a path is that of an NVMe disk, of this machine or of a server. */
const isNvmeDisk = (device: string) => /^\/dev\/nvme\d+n\d+(?:p\d+)?$/.test(device);

/** @throws RdpullError bad-url, and as detachDisk() and detachUrl() */
async function detachNvme(operand: string, signal: AbortSignal): Promise<DetachedNamespaceJson> {
  const { detachDisk, detachUrl } = await import('../nvme/detach-namespace.ts');
  if (!isNvmeUrl(operand)) return detachDisk(operand, signal);
  const url = parseNvmeUrl(operand);
  if ('what' in url) throw new RdpullError('bad-url', `${quotedUrl(operand)} ${url.what}`, url.hint);
  return detachUrl(url, signal);
}
