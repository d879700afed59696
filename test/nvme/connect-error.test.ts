import { describe, expect, test } from 'bun:test';
import { connectError } from '../../src/nvme/connect-error.ts';

const NQN = 'nqn.x:image.raw';

function failed(code: string, lines: readonly string[], hasSecret = false) {
  return connectError({
    nqn: NQN,
    portal: { address: '10.0.2.2', port: 4420 },
    error: Object.assign(new Error('write failed'), { code }),
    lines,
    hasSecret,
  });
}

/** The lines are those of drivers/nvme/host (fabrics.c, tcp.c) of Linux. */
describe('what the kernel means', () => {
  test.each([
    ['ECONNREFUSED', ['nvme nvme0: failed to connect socket: -111'], 'connection-refused', 'nobody listens'],
    ['ECONNRESET', [], 'connection-lost', 'it has ended the connection'],
    [
      'EIO',
      [
        `nvme nvme0: Connect Invalid Data Parameter, subsysnqn "${NQN}"`,
        'nvme nvme0: failed to connect queue: 0 ret=16770',
      ],
      'nvme-subsystem-unknown',
      `the server answers, and does not have ${NQN} (the kernel says: nvme nvme0: Connect Invalid`,
    ],
    [
      'EIO',
      [`nvme nvme0: Connect for subsystem ${NQN} is not allowed, hostnqn: nqn.x:h`],
      'nvme-denied',
      `the server does not let this machine have ${NQN}`,
    ],
    [
      'EIO',
      ['nvme nvme0: Connect command failed: controller is busy or not available'],
      'nvme-busy',
      `${NQN} is in use by another machine`,
    ],
    ['EIO', [], 'nvme-subsystem-unknown', 'the server answers, and does not have'],
    [
      'EIO',
      ['nvme nvme0: Connect command failed, error wo/DNR bit: 6'],
      'nvme-failed',
      `the kernel does not connect with ${NQN} (the kernel says: nvme nvme0: Connect command failed`,
    ],
    ['EINVAL', [], 'nvme-failed', 'the kernel does not connect with'],
  ] as const)('by %s and %j: %s', (code, lines, expected, message) => {
    const error = failed(code, lines);
    expect(error.code).toBe(expected);
    expect(error.message).toStartWith('10.0.2.2:4420: ');
    expect(error.message).toContain(message);
  });
});

const FAILED = 'nvme nvme0: failed to connect queue: 0 ret=-129';

/** As Linux 7.2 and 6.1 said it in the lab. */
describe('where a server wants to know who this machine is', () => {
  test.each([
    [
      'no secret',
      'ENOKEY',
      ['nvme nvme0: qid 0: no key', 'nvme nvme0: qid 0: authentication setup failed'],
      false,
      'nvme-denied',
      `the server asks for a secret for ${NQN}, and this machine has none`,
    ],
    [
      'the wrong secret',
      'EKEYREJECTED',
      ['nvme nvme0: qid 0: authentication failed, error -129', FAILED],
      true,
      'nvme-denied',
      `the server does not take the secret of this machine for ${NQN}`,
    ],
    [
      'the wrong secret, before Linux 7',
      'ECONNREFUSED',
      ['nvme nvme0: qid 0: authentication failed', 'nvme nvme0: failed to connect queue: 0 ret=-111'],
      true,
      'nvme-denied',
      `the server does not take the secret of this machine for ${NQN}`,
    ],
    [
      'the wrong secret, before Linux 6.9',
      'EIO',
      ['nvme nvme0: qid 0: authentication failed', 'nvme nvme0: failed to connect queue: 0 ret=401'],
      true,
      'nvme-denied',
      `the server does not take the secret of this machine for ${NQN}`,
    ],
    [
      // A busy machine that took longer than the target waits.
      'an answer that does not come',
      'EIO',
      [
        'nvme nvme0: I/O tag 21 (0015) type 4 opcode 0x7f (Fabrics Cmd) QID 0 timeout',
        'nvme nvme0: qid 0 auth_send failed with status 880',
        'nvme nvme0: qid 0 failed to receive success1, nvme status 880',
        'nvme nvme0: qid 0: authentication failed, error 880',
        'nvme nvme0: failed to connect queue: 0 ret=880',
      ],
      true,
      'connection-lost',
      `the server does not answer while this machine authenticates itself for ${NQN}`,
    ],
    [
      'the wrong secret, and the log is closed',
      'EKEYREJECTED',
      [],
      true,
      'nvme-denied',
      `the server does not take the secret of this machine for ${NQN}`,
    ],
    [
      'a server that has the wrong one itself',
      'EKEYREJECTED',
      [
        'nvme nvme0: qid 0: authenticated with hash hmac(sha512) dhgroup ffdhe2048',
        'nvme nvme0: qid 0: controller authentication failed',
        'nvme nvme0: qid 0: authentication failed, error -129',
        FAILED,
      ],
      true,
      'nvme-denied',
      `the server does not show itself with the secret that it should have for ${NQN}`,
    ],
    [
      'a kernel that cannot',
      'EIO',
      ['nvme nvme0: qid 0: authentication setup failed', 'nvme nvme0: failed to connect queue: 0 ret=401'],
      true,
      'nvme-failed',
      `asks this machine to authenticate itself for ${NQN}, and this kernel has no DH-HMAC-CHAP`,
    ],
  ] as const)('%s', (_, code, lines, hasSecret, expected, message) => {
    const error = failed(code, lines, hasSecret);
    expect(error.code).toBe(expected);
    expect(error.message).toContain(message);
    expect(error.message).not.toContain('nobody listens');
  });
});
