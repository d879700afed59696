import { describe, expect, test } from 'bun:test';
import { constants } from 'node:os';
import { EXIT_STATUS, RdpullError } from '../../src/console/rdpull-error.ts';
import { SystemCallError } from '../../src/kernel/system-error.ts';
import { networkError, proxyError } from '../../src/source/network-error.ts';
import { isPassing } from '../../src/source/passing.ts';

const failed = (code: string, message = 'it failed') => Object.assign(new Error(message), { code });
const told = (error: unknown) => networkError('http://h/x', error);

describe('the network is what is known to be the network', () => {
  test.each([
    ['connect', 'ECONNREFUSED', 'connection-refused'],
    ['connect', 'ETIMEDOUT', 'connection-timeout'],
    ['connect', 'ENETUNREACH', 'host-unreachable'],
    ['connect', 'ENETDOWN', 'host-unreachable'],
    ['connect', 'EHOSTUNREACH', 'host-unreachable'],
    ['connect', 'EADDRNOTAVAIL', 'host-unreachable'],
    ['connect', 'EPERM', 'host-unreachable'],
    ['read', 'ECONNRESET', 'connection-lost'],
    ['read', 'ECONNABORTED', 'connection-lost'],
    ['write', 'EPIPE', 'connection-lost'],
  ] as const)('%s: %s is %s, and is tried again', (syscall, name, code) => {
    const error = told(new SystemCallError(syscall, constants.errno[name]));
    expect(error.code).toBe(code);
    expect(error.message).toStartWith('http://h/x: ');
    expect(isPassing(error)).toBe(true);
  });

  test.each(['ENOTFOUND', 'EAI_AGAIN', 'ESERVFAIL'])('a name that is not resolved: %s', (code) => {
    expect(told(failed(code)).code).toBe('host-unknown');
  });

  test('what is neither of the network nor of TLS is a defect that names itself, and is tried once', () => {
    for (const error of [
      new TypeError('x is not a function'),
      failed('ERR_INVALID_STATE'),
      failed('EBADF'),
    ]) {
      for (const defect of [told(error), proxyError('http://h/x', 'http://p', error)]) {
        expect(defect.code).toBe('internal');
        expect(defect.exitStatus).toBe(EXIT_STATUS.internal);
        expect(defect.message).toBe(`rdpull itself failed: http://h/x: ${error.message}`);
        expect(defect.cause).toBeInstanceOf(Error);
        expect(isPassing(defect)).toBe(false);
      }
    }
  });
});

describe('TLS that fails', () => {
  test.each(['ERR_SSL_NO_SHARED_CIPHER', 'ERR_SSL_WHATEVER_COMES', 'ERR_TLS_X', 'EPROTO'])(
    '%s is not the network, and not tried for minutes',
    (code) => {
      const error = told(failed(code));
      expect(error.code).toBe('tls-failed');
      expect(error.message).toContain(code);
      expect(isPassing(error)).toBe(false);
    },
  );

  test('is tried again when the server itself has trouble', () => {
    expect(isPassing(told(failed('ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR')))).toBe(true);
  });
});

test('an error that was told already is not told again', () => {
  const error = new RdpullError('disk-full', 'the disk is full', 'make room');
  expect(told(error)).toBe(error);
});
