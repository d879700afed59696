/**
 * The two parts of undici that are used. Its index loads caches, proxies, mocks and web sockets with them, which cost
 * 8 MiB of memory and half of the start-up time.
 */
declare module 'undici-real/lib/dispatcher/client.js' {
  export { Client as default } from 'undici-real';
}

declare module 'undici-real/lib/api/api-request.js' {
  import type { Dispatcher } from 'undici-real';

  export default function request(
    this: Dispatcher,
    options: Dispatcher.RequestOptions,
  ): Promise<Dispatcher.ResponseData>;
}
