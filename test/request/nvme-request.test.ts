import { describe, expect, test } from 'bun:test';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { nameOfSubsystem } from '../../src/request/nvme-request.ts';
import { parsePullExpression } from '../../src/request/pull-expression.ts';

const NQN = 'nqn.2023-10.io.systemd:storagetm.0123456789abcdef0123456789abcdef.image.raw';

function parsed(expression: string) {
  const warnings: string[] = [];
  const request = parsePullExpression(expression, (text) => warnings.push(text));
  return { request, warnings };
}

function refused(expression: string): RdpullError {
  try {
    parsePullExpression(expression, () => undefined);
  } catch (error) {
    if (error instanceof RdpullError) return error;
    throw error;
  }
  throw new Error(`${expression} was taken`);
}

describe('an expression with a disk on an NVMe server', () => {
  test('the colons of a subsystem belong to it', () => {
    const { request, warnings } = parsed(`raw,machine,verify=no:root:nvme+tcp://192.168.47.11:4420/${NQN}`);
    expect(warnings).toEqual([]);
    expect(request).toMatchObject({
      local: 'root',
      type: 'raw',
      blockdev: true,
      readOnly: false,
      remote: { kind: 'nvme', url: { host: '192.168.47.11', port: 4420, nqn: NQN } },
    });
  });

  test('with bootorigin the server is that of the UKI, with dhcporigin the one that DHCP names', () => {
    expect(parsed('raw,machine,verify=no,bootorigin:root:nvme+tcp:').request.remote).toEqual({
      kind: 'nvme',
      url: { host: undefined, port: undefined, nqn: undefined, namespace: undefined },
    });
    expect(parsed('raw,machine,verify=no,dhcporigin:root:nvme+tcp:').request.remote).toMatchObject({
      dhcp: 'only',
    });
    expect(parsed('raw,machine,verify=no,dhcporigin,bootorigin:root:nvme+tcp:').request.remote).toMatchObject(
      { dhcp: 'fallback' },
    );
  });

  test('ro and overlay= mean what they always do; raw may be left out', () => {
    expect(parsed('machine,ro,overlay=tmpfs,verify=no:root:nvme+tcp://h').request).toMatchObject({
      readOnly: true,
      overlay: { kind: 'memory' },
    });
  });

  test('without a local name it is called as the file that the subsystem is of', () => {
    expect(parsed(`raw,machine,verify=no::nvme+tcp://h/${NQN}`).request.local).toBe('image');
    expect(parsed('raw,machine,verify=no::nvme+tcp://h').request.local).toBeUndefined();
  });

  test.each([
    [NQN, 'image'],
    ['nqn.2026-11.internal.rdpull:0123456789abcdef0123456789abcdef.sub:debian-13.1.raw', 'debian-13.1'],
    ['nqn.2014-08.org.example:disk7', 'disk7'],
    [
      'nqn.2014-08.org.nvmexpress:uuid:2cfdba7b-cf7a-4f1f-9d25-3b0a1f9e8d11',
      '2cfdba7b-cf7a-4f1f-9d25-3b0a1f9e8d11',
    ],
    ['nqn.x:', undefined],
  ])('%s is called %s', (nqn, name) => {
    expect(nameOfSubsystem(nqn)).toBe(name);
  });

  test.each([
    [
      'raw,machine:root:nvme+tcp://h',
      'bad-expression',
      'verify=signature, which cannot hold for a disk that stays on the server',
      'write verify=no, and let dm-verity vouch',
    ],
    [
      'raw,machine,verify=checksum:root:nvme+tcp://h',
      'bad-expression',
      'verify=checksum, which cannot hold',
      'systemd.image_policy=root=signed',
    ],
    [
      `raw,machine,verify=sha256:${'0'.repeat(64)}:root:nvme+tcp://h`,
      'bad-expression',
      'verify=sha256:',
      'roothash=',
    ],
    [
      'tar,machine,verify=no:root:nvme+tcp://h',
      'bad-expression',
      'asks for tar, and what an NVMe server has is a disk',
      'write raw',
    ],
    ['raw,sysext,verify=no:root:nvme+tcp://h', 'bad-expression', 'does not say machine', 'write raw,machine'],
    ['raw,verify=no:root:nvme+tcp://h', 'bad-expression', 'does not say machine', 'write raw,machine'],
    ['raw,machine,verify=no:root:nvme+tcp:', 'bad-url', 'names no server', 'add bootorigin'],
    [
      'raw,machine,verify=no:root:nvme+tcp://h/image.raw',
      'bad-url',
      'names no subsystem: "image.raw"',
      'write nvme+tcp://HOST',
    ],
  ])('%s is refused', (expression, code, message, hint) => {
    const error = refused(expression);
    expect(error.code).toBe(code as RdpullError['code']);
    expect(error.message).toContain(message);
    expect(error.hint).toContain(hint);
  });

  test('what is for downloads is ignored, with a word about each', () => {
    const { request, warnings } = parsed(
      'raw,machine,verify=no,on-demand,fill=no,ramdisk,mirror=http://m/x,store=http://s/,overcommit,runtime=yes,bootorigin:root:nvme+tcp://h:1',
    );
    expect(request).toMatchObject({
      mirrors: [],
      stores: [],
      onDemand: undefined,
      ramDisk: false,
      overcommit: false,
    });
    expect(warnings.map((text) => /: "([^"]*)" is ignored: nvme\+tcp: leads/.exec(text)?.[1])).toEqual([
      'bootorigin',
      'on-demand',
      'fill=',
      'ramdisk',
      'mirror=',
      'store=',
      'overcommit',
      'runtime=',
    ]);
  });
});
