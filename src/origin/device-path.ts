/** The little of device paths that is needed to find a URL in one, and to make one: UEFI specification 2.10, section 10.3. */

/** Type (1 byte), SubType (1), Length (2, which counts these four). */
const NODE_HEADER = 4;

export const MESSAGING_DEVICE_PATH = 0x03;
export const MSG_MAC_ADDR_DP = 0x0b;
export const MSG_URI_DP = 0x18;

export const END_DEVICE_PATH_TYPE = 0x7f;
export const END_ENTIRE_DEVICE_PATH_SUBTYPE = 0xff;

/** One node of a device path. */
export interface DeviceNode {
  readonly type: number;
  readonly subType: number;
  /** What follows the header. */
  readonly data: Uint8Array;
  /** Where it ends in the path. */
  readonly end: number;
}

/** The nodes of a path, up to its end or to the first that is damaged. */
export function* deviceNodes(path: Uint8Array): Generator<DeviceNode> {
  const view = new DataView(path.buffer, path.byteOffset, path.byteLength);
  let offset = 0;
  while (offset + NODE_HEADER <= path.length) {
    const type = view.getUint8(offset);
    const subType = view.getUint8(offset + 1);
    const end = offset + view.getUint16(offset + 2, true);
    if (end < offset + NODE_HEADER || end > path.length) return;
    if (type === END_DEVICE_PATH_TYPE && subType === END_ENTIRE_DEVICE_PATH_SUBTYPE) return;
    yield { type, subType, data: path.subarray(offset + NODE_HEADER, end), end };
    offset = end;
  }
}

/** The bytes of a node. */
export function deviceNode(type: number, subType: number, data: Uint8Array = new Uint8Array()): Uint8Array {
  const node = new Uint8Array(NODE_HEADER + data.length);
  new DataView(node.buffer).setUint16(2, node.length, true);
  node.set([type, subType]);
  node.set(data, NODE_HEADER);
  return node;
}

/** The first URI in a device path that is not empty. What follows the path's end is not looked at. */
export function devicePathUri(path: Uint8Array): string | undefined {
  for (const { type, subType, data } of deviceNodes(path)) {
    if (type !== MESSAGING_DEVICE_PATH || subType !== MSG_URI_DP) continue;
    const uri = new TextDecoder().decode(data);
    const end = uri.indexOf('\0');
    const text = end < 0 ? uri : uri.slice(0, end);
    if (text !== '') return text;
  }
  return undefined;
}
