import { describe, expect, test } from 'bun:test';
import { createServiceNotifier } from '../../src/console/service-notifier.ts';

const MIB = 1024 * 1024;

const subject = (name: string, total: number | undefined) => ({
  name,
  source: 'h:8081',
  total,
  expected: total,
});

/** A notifier, the messages it has sent, and its clock in ms. */
function notifier() {
  const sent: string[] = [];
  const clock = { now: 0 };
  return {
    sent,
    clock,
    service: createServiceNotifier(
      (message) => sent.push(message),
      () => clock.now,
    ),
  };
}

describe('while bytes arrive', () => {
  test('one message a second says how far it is, and asks for more time', () => {
    const { service, sent, clock } = notifier();
    service.started(subject('image.raw', 100 * MIB));
    for (let tick = 1; tick <= 30; tick++) {
      clock.now = tick * 100;
      service.progress(tick * MIB, 0);
    }
    expect(sent).toEqual([
      'STATUS=image.raw: the server answers',
      ...[
        ['10.0 of 100 MiB', '10', '9.0 s'],
        ['20.0 of 100 MiB', '20', '8.0 s'],
        ['30.0 of 100 MiB', '30', '7.0 s'],
      ].map(
        ([amount, percent, left]) =>
          `STATUS=image.raw: h:8081, ${amount}, 10.0 MiB/s, ${percent} %, ${left} left\nX_IMPORT_PROGRESS=${percent}%\nEXTEND_TIMEOUT_USEC=360000000`,
      ),
    ]);
  });

  test('no percentage of an unknown length is claimed', () => {
    const { service, sent, clock } = notifier();
    service.started(subject('image.raw', undefined));
    clock.now = 2000;
    service.progress(MIB, 0);
    expect(sent.at(-1)).toBe('STATUS=image.raw: h:8081, 1.0 MiB, 512 KiB/s\nEXTEND_TIMEOUT_USEC=360000000');
  });
});

test('what brings no new byte asks for no time', () => {
  const { service, sent, clock } = notifier();
  service.started(subject('image.raw', 10));
  for (let second = 1; second <= 60; second++) {
    clock.now = second * 1000;
    service.progress(second < 3 ? second : 2, 0);
  }
  expect(sent.filter((message) => message.includes('EXTEND_TIMEOUT_USEC'))).toHaveLength(2);
});

test('waiting for a server is said, and asks for the pause and more', () => {
  const { service, sent } = notifier();
  service.waiting('http://h/x: the connection was refused; trying again in 8.0 s', 8000.4);
  expect(sent).toEqual([
    'STATUS=http://h/x: the connection was refused; trying again in 8.0 s\nEXTEND_TIMEOUT_USEC=368000000',
  ]);
});

test('a second transfer starts from nothing', () => {
  const { service, sent, clock } = notifier();
  service.started(subject('one', 1000));
  clock.now = 1000;
  service.progress(1000, 0);
  service.started(subject('two', 1000));
  clock.now = 2000;
  service.progress(100, 0);
  expect(sent.at(-1)).toContain('two: h:8081, 100 of 1000 B, 100 B/s, 10 %');
});

describe('the last message', () => {
  test('says that the service is ready', () => {
    const { service, sent } = notifier();
    service.ready('image.raw: verified');
    expect(sent).toEqual(['READY=1\nSTATUS=image.raw: verified']);
  });

  test('says why not, and cannot be made to say that it is', () => {
    const { service, sent } = notifier();
    service.failed('http://h/x: no\nREADY=1');
    expect(sent).toEqual(['STATUS=http://h/x: no\\x0aREADY=1']);
  });
});
