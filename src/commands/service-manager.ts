import { reasonOf } from '../console/rdpull-error.ts';
import { createServiceNotifier, type ServiceNotifier } from '../console/service-notifier.ts';

/**
 * The way to the service manager that started this process, if one did and wants to hear of it (`$NOTIFY_SOCKET`,
 * sd_notify(3)); else all messages go nowhere. A message that cannot be sent is no failure.
 *
 * @param detail takes a line about the first message that could not be sent
 */
export async function connectServiceManager(
  detail: (text: string) => void,
): Promise<ServiceNotifier & Disposable> {
  const { NOTIFY_SOCKET: address = '' } = process.env;
  if (address === '') return { ...createServiceNotifier(() => undefined), [Symbol.dispose]: () => undefined };

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
    [Symbol.dispose]: () => socket?.[Symbol.dispose](),
  };
}
