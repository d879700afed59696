/** RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110, section 5.5: no controls but the tab. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** RFC 9112, section 3.2: one word. */
const TARGET = /^[\x21-\x7e]+$/;

/**
 * The head of a request that is the only one on its connection (RFC 9112, sections 3 and 9.6).
 *
 * @param target path and query, or for a proxy the whole URL
 * @param host host and port of the URL, as the Host header has them
 * @throws Error when a part would end its line: the request would say something else than was meant
 */
export function requestHead(
  method: 'GET' | 'HEAD',
  target: string,
  host: string,
  headers: Readonly<Record<string, string>>,
): string {
  if (!TARGET.test(target)) throw new Error('the URL cannot be asked for over HTTP');
  const fields = Object.entries({ host, connection: 'close', ...headers });
  for (const [name, value] of fields) {
    // The value may be a secret.
    if (!TOKEN.test(name) || !VALUE.test(value))
      throw new Error(`the header ${name} cannot be sent over HTTP`);
  }
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`;
}
