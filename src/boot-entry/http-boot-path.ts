import {
  type DeviceNode,
  deviceNode,
  deviceNodes,
  END_DEVICE_PATH_TYPE,
  END_ENTIRE_DEVICE_PATH_SUBTYPE,
  MESSAGING_DEVICE_PATH,
  MSG_MAC_ADDR_DP,
  MSG_URI_DP,
} from '../origin/device-path.ts';
import type { BootEntry } from './boot-entries.ts';

const MSG_IPv4_DP = 0x0c;
const MSG_IPv6_DP = 0x0d;

/** Bytes behind the headers. All are 0: the firmware asks DHCP, or the router, as it does for its own entries. */
const IPV4_LENGTH = 23;
const IPV6_LENGTH = 56;

const MAC_LENGTH = 6;

/** How a machine reaches the server that it is to be booted from. */
export interface BootRoute {
  /** Of the network device, lower-case, with colons. */
  readonly mac: string;
  readonly family: 4 | 6;
}

/**
 * The device path of an HTTP boot through one network device: the firmware's own way to that device, from one of its
 * entries, and then the URL.
 *
 * @returns undefined when no entry leads to that device
 */
export function httpBootPath(
  url: string,
  { mac, family }: BootRoute,
  entries: readonly BootEntry[],
): Uint8Array | undefined {
  for (const { path } of entries) {
    for (const node of deviceNodes(path)) {
      if (macOf(node) !== mac) continue;
      const address =
        family === 4
          ? deviceNode(MESSAGING_DEVICE_PATH, MSG_IPv4_DP, new Uint8Array(IPV4_LENGTH))
          : deviceNode(MESSAGING_DEVICE_PATH, MSG_IPv6_DP, new Uint8Array(IPV6_LENGTH));
      return Buffer.concat([path.subarray(0, node.end), address, shortFormPath(url)]);
    }
  }
  return undefined;
}

/** The device path of an HTTP boot through any network device that the firmware finds: the URL alone (section 3.1.2 of UEFI 2.10). */
export function shortFormPath(url: string): Uint8Array {
  return Buffer.concat([
    deviceNode(MESSAGING_DEVICE_PATH, MSG_URI_DP, Buffer.from(url)),
    deviceNode(END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE),
  ]);
}

function macOf({ type, subType, data }: DeviceNode): string | undefined {
  if (type !== MESSAGING_DEVICE_PATH || subType !== MSG_MAC_ADDR_DP || data.length < MAC_LENGTH)
    return undefined;
  return Array.from(data.subarray(0, MAC_LENGTH), (byte) => byte.toString(16).padStart(2, '0')).join(':');
}
