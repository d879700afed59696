import { describe, expect, test } from 'bun:test';
import {
  expandPlaceholders,
  hasPlaceholderInFileName,
  type Placeholder,
  placeholderDefect,
  placeholdersIn,
} from '../../src/request/placeholder.ts';
import type { Remote } from '../../src/request/pull-request.ts';

const url = (text: string): Remote => ({ kind: 'url', url: text });
const beside = (name?: string): Remote => ({ kind: 'bootorigin', name });
const LITERAL = ' (braces that mean themselves are written %7B and %7D)';

describe('a remote can be pulled from', () => {
  test.each([
    'http://h/{machine-id}/{hostname}/{arch}/{kernel}/{serial}/{uuid}/{mac}.raw',
    'http://{gateway}:8080/{mac}.raw',
    'http://{dhcp-server}/{gateway}.raw',
    'http://{hostname}.example.com:8080/{mac}.raw',
    'https://{serial}:{uuid}@h/x.raw?mac={mac}',
    'file:///images/{uuid}.raw',
    'http://h/{Arch}/{}/{a b}/{1}/{{/}}/${/x.raw',
  ])('%s', (text) => {
    expect(placeholderDefect(url(text))).toBeUndefined();
  });

  test('by a name with placeholders, or by none, beside the boot file', () => {
    expect(placeholderDefect(beside('{mac}/{serial}.raw'))).toBeUndefined();
    expect(placeholderDefect(beside())).toBeUndefined();
  });
});

describe('an unknown placeholder is refused, and the nearest one named', () => {
  test.each([
    ['http://h/{machineid}.raw', '{machineid}', `did you mean {machine-id}?${LITERAL}`],
    ['http://h/{arch}/{host}.raw', '{host}', `did you mean {hostname}?${LITERAL}`],
    ['http://{seriel}/x.raw', '{seriel}', `did you mean {serial}?${LITERAL}`],
    ['file:/{macs}', '{macs}', `did you mean {mac}?${LITERAL}`],
    [
      'http://h/{user-name}',
      '{user-name}',
      `valid are {machine-id}, {hostname}, {arch}, {kernel}, {serial}, {uuid}, {mac}, {gateway}, {dhcp-server}${LITERAL}`,
    ],
    ['http://h/{-}', '{-}', expect.stringContaining('valid are')],
  ])('%s', (text, word, hint) => {
    expect(placeholderDefect(url(text))).toEqual({ what: `holds an unknown placeholder, ${word}`, hint });
  });

  test('also beside the boot file', () => {
    expect(placeholderDefect(beside('{uid}.raw'))?.hint).toStartWith('did you mean {uuid}?');
  });
});

describe('{mac} is refused where no server is known yet', () => {
  test.each(['http://{mac}/x.raw', 'https://{mac}.example.com?x', 'http://h:{mac}/x'])('%s', (text) => {
    expect(placeholderDefect(url(text))).toEqual({
      what: 'holds {mac}, the address of the interface that reaches the server, in the name of the server itself',
      hint: 'put it behind the host, or use {uuid} there',
    });
  });

  test('file:', () => {
    expect(placeholderDefect(url('file:///images/{mac}.raw'))).toEqual({
      what: 'holds {mac}, the address of the interface that reaches the server, but no server',
      hint: 'use {uuid} or {machine-id}',
    });
  });
});

test('the local name depends on placeholders of the last component only', () => {
  expect(hasPlaceholderInFileName(url('http://h/{serial}.raw'))).toBe(true);
  expect(hasPlaceholderInFileName(url('http://h/a/{serial}/?x'))).toBe(true);
  expect(hasPlaceholderInFileName(url('http://{arch}/{serial}/root.raw?{uuid}'))).toBe(false);
  expect(hasPlaceholderInFileName(url('http://{arch}/'))).toBe(false);
  expect(hasPlaceholderInFileName(beside('{arch}/root.raw'))).toBe(false);
  expect(hasPlaceholderInFileName(beside('{arch}.raw'))).toBe(true);
  expect(hasPlaceholderInFileName(beside())).toBe(false);
});

describe('replacing', () => {
  const expand = (text: string, values: Partial<Record<Placeholder, string>>) =>
    expandPlaceholders(
      text,
      new Map(Object.entries(values).map(([name, value]) => [name as Placeholder, value])),
    );

  test('puts the value in, each time it is asked for', () => {
    expect(expand('http://{arch}.h/{arch}/{kernel}', { arch: 'x86-64', kernel: '6.12.1' })).toBe(
      'http://x86-64.h/x86-64/6.12.1',
    );
  });

  test.each([
    ['To Be Filled By O.E.M.', 'To%20Be%20Filled%20By%20O.E.M.'],
    ['../../x', '..%2F..%2Fx'],
    ['a?b#c@d:e%f', 'a%3Fb%23c%40d%3Ae%25f'],
    ['{uuid}', '%7Buuid%7D'],
    ['$& $1', '%24%26%20%241'],
    ['Gerät', 'Ger%C3%A4t'],
  ])('percent-encodes what would change the URL: %s', (serial, encoded) => {
    expect(expand('http://h/{serial}/x', { serial, uuid: 'never' })).toBe(`http://h/${encoded}/x`);
  });

  test('leaves what has no value yet, and braces that are none', () => {
    expect(expand('{Arch}{}{mac}{arch}', { arch: 'arm64' })).toBe('{Arch}{}{mac}arm64');
    expect([...placeholdersIn('{Arch}{}{mac}{nothing}{arch}{mac}')]).toEqual(['mac', 'arch']);
  });
});
