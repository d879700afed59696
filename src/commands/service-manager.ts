import { reasonOf } from '../console/rdpull-error.ts';
import { createServiceNotifier, type ServiceNotifier } from '../console/service-notifier.ts';

/** How often it is looked whether the service manager has read a message, in ms. */
const INTERVAL = 100;

/** The service manager that started this process, or nobody. */
export interface ServiceManager extends ServiceNotifier, Disposable {
  /**
   * Waits until it has read all that it was told: it does nothing else then, such as running generators, or being exchanged for that of
   * the real root. Ends at once where there is nobody, and when `signal` comes.
   */
  listens(signal: AbortSignal): Promise<void>;
}

/**
 * The way to the service manager that started this process, if one did and wants to hear of it (`$NOTIFY_SOCKET`,
 * sd_notify(3)); else all messages go nowhere. A message that cannot be sent is no failure.
 *
 * @param detail takes a line about the first message that could not be sent
 */
export async function connectServiceManager(detail: (text: string) => void): Promise<ServiceManager> {
  const { NOTIFY_SOCKET: address = '' } = process.env;
  if (address === '') {
    const nobody = { listens: async () => undefined, [Symbol.dispose]: () => undefined };
    return { ...createServiceNotifier(() => undefined), ...nobody };
  }

  // Only here, because it opens the way into libc.
  const { UnixDatagram } = await import('../kernel/unix-datagram.ts');
  let socket: InstanceType<typeof UnixDatagram> | undefined;
  let told = false;
  const tolerate = (action: () => void): void => {
    try {
      action();
    } catch (error) {
      if (!told) detail(`the service manager cannot be told: ${reasonOf(error)}`);
      told = true;
    }
  };
  tolerate(() => {
    socket = new UnixDatagram(address);
  });
  return {
    ...createServiceNotifier((message) => tolerate(() => socket?.send(message))),
    async listens(signal) {
      while (socket?.isUnread === true && !signal.aborted) await Bun.sleep(INTERVAL);
    },
    [Symbol.dispose]: () => socket?.[Symbol.dispose](),
  };
}
