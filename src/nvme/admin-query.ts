import fs from 'node:fs';
import { RdpullError } from '../console/rdpull-error.ts';
import { type AdminCommand, adminCommand } from '../kernel/nvme-fabrics.ts';
import { isSystemError, reasonWithoutPath } from '../kernel/system-error.ts';

/** What a controller that is asked may fail with: it is away, or has ended the command. */
const AWAY = ['EIO', 'ENODEV', 'ENXIO', 'ENOENT', 'ENOTCONN', 'ETIMEDOUT', 'EAGAIN', 'ECANCELED', 'EINVAL'];

/** A controller that is connected, open for questions. */
export interface OpenController extends Disposable {
  /**
   * What it answers.
   *
   * @param what it is asked for, for messages
   * @throws RdpullError nvme-failed
   */
  ask(command: AdminCommand, what: string): Uint8Array;
}

/**
 * Opens a controller.
 *
 * @param where the server, for messages
 * @throws RdpullError nvme-failed
 */
export function openController(instance: number, where: string): OpenController {
  const failed = (what: string, cause?: unknown) =>
    new RdpullError(
      'nvme-failed',
      `${where}: ${what}`,
      'look at the target, and at what the kernel says: dmesg | grep nvme',
      { cause },
    );
  function attempt<T>(what: string, action: () => T): T {
    try {
      return action();
    } catch (error) {
      if (!isSystemError(error, ...AWAY)) throw error;
      throw failed(`${what} (${reasonWithoutPath(error)})`, error);
    }
  }
  const fd = attempt('its controller is gone', () =>
    fs.openSync(`/dev/nvme${instance}`, fs.constants.O_RDWR | fs.constants.O_NONBLOCK),
  );
  return {
    ask(command, what) {
      const answer = attempt(`the server does not say ${what}`, () => adminCommand(fd, command));
      if (typeof answer !== 'number') return answer;
      throw failed(`the server does not say ${what} (status 0x${answer.toString(16)})`);
    },
    [Symbol.dispose]: () => fs.closeSync(fd),
  };
}
