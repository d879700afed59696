import { connect } from 'node:net';
import { printable } from '../../console/printable.ts';
import { reasonOf } from '../../console/rdpull-error.ts';
import { isSystemError } from '../../kernel/system-error.ts';
import { type DhcpLease, dhcpLease } from './dhcp-lease.ts';

/** Where systemd-networkd answers. From systemd 262 on it writes no lease files any more, and says here all that its server has said. */
const SOCKET = '/run/systemd/netif/io.systemd.Network';

/** A call by the Varlink protocol (https://varlink.org): JSON up to a NUL. */
const CALL = '{"method":"io.systemd.Network.Describe"}\0';

/** What is read of the answer, in bytes (4 KB an interface are usual), and how long it may take, in ms. */
const LONGEST = 4 * 1024 * 1024;
const PATIENCE = 3000;

/** Options of RFC 2132 by their numbers. */
const ROUTER = 3;
const ROOT_PATH = 17;
const SERVER_IDENTIFIER = 54;
const TFTP_SERVER_NAME = 66;
const BOOT_FILE_NAME = 67;
/** What is in this option of RFC 2132 (section 9.3) when the field `file` holds options. */
const OVERLOAD = 52;
const FILE_OVERLOADED = 1;

/**
 * The leases of systemd-networkd; none where it does not run, or keeps them in files.
 *
 * @param root where run lies
 * @param detail takes a line about an answer that is none
 */
export async function leasesOfNetworkd(root: string, detail: (text: string) => void): Promise<DhcpLease[]> {
  const source = root + SOCKET;
  try {
    const answer: unknown = JSON.parse(await ask(source));
    return interfacesIn(answer).flatMap((each) => leaseOf(source, each) ?? []);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT', 'ECONNREFUSED'))
      detail(`${source} says nothing of DHCP: ${printable(reasonOf(error))}`);
    return [];
  }
}

function ask(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let length = 0;
    const socket = connect({ path }, () => socket.write(CALL));
    const timer = setTimeout(() => socket.destroy(new Error('it does not answer')), PATIENCE);
    socket.on('data', (piece: Buffer) => {
      const end = piece.indexOf(0);
      pieces.push(end < 0 ? piece : piece.subarray(0, end));
      length += piece.length;
      if (length > LONGEST) socket.destroy(new Error(`its answer is longer than ${LONGEST} bytes`));
      else if (end >= 0) {
        resolve(Buffer.concat(pieces).toString());
        socket.destroy();
      }
    });
    socket.on('error', reject);
    socket.on('close', () => {
      clearTimeout(timer);
      reject(new Error('it hangs up without an answer'));
    });
  });
}

function interfacesIn(answer: unknown): readonly unknown[] {
  const interfaces = field(field(answer, 'parameters'), 'Interfaces');
  return Array.isArray(interfaces) ? interfaces : [];
}

function leaseOf(source: string, link: unknown): DhcpLease | undefined {
  const message = field(field(field(link, 'DHCPv4Client'), 'Lease'), 'Message');
  if (message === undefined) return undefined;
  const options = optionsIn(message);
  const isOverloaded = ((options.get(OVERLOAD)?.[0] ?? 0) & FILE_OVERLOADED) !== 0;
  const name = field(link, 'Name');
  return dhcpLease(source, typeof name === 'string' ? name : undefined, {
    bootFile: text(options.get(BOOT_FILE_NAME) ?? (isOverloaded ? undefined : bytes(message, 'file'))),
    rootPath: text(options.get(ROOT_PATH)),
    // Not the field `sname`, which many servers fill with a name of their own that nobody can resolve.
    tftpServer: text(options.get(TFTP_SERVER_NAME)),
    nextServer: address(bytes(message, 'siaddr')),
    gateway: address(options.get(ROUTER)),
    dhcpServer: address(options.get(SERVER_IDENTIFIER)),
  });
}

function optionsIn(message: unknown): ReadonlyMap<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  const options = field(message, 'options');
  if (!Array.isArray(options)) return found;
  for (const option of options) {
    const tag = field(option, 'tag');
    const data = bytes(option, 'data');
    if (typeof tag === 'number' && data !== undefined && !found.has(tag)) found.set(tag, data);
  }
  return found;
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

/** A field in hexadecimal digits. */
function bytes(value: unknown, name: string): Uint8Array | undefined {
  const digits = field(value, name);
  return typeof digits === 'string' ? Buffer.from(digits, 'hex') : undefined;
}

/** Up to the first NUL, which fills what is left of a field. */
function text(data: Uint8Array | undefined): string | undefined {
  if (data === undefined) return undefined;
  const end = data.indexOf(0);
  return Buffer.from(end < 0 ? data : data.subarray(0, end)).toString('latin1');
}

function address(data: Uint8Array | undefined): string | undefined {
  return data === undefined || data.length < 4 ? undefined : data.subarray(0, 4).join('.');
}
