import { expect, test } from 'bun:test';
import { parseBoolean } from '../../src/request/boolean.ts';

test.each(['1', 'yes', 'y', 'true', 't', 'on', 'YES', 'On'])('%s is true', (text) => {
  expect(parseBoolean(text)).toBe(true);
});

test.each(['0', 'no', 'n', 'false', 'f', 'off', 'FALSE', 'Off'])('%s is false', (text) => {
  expect(parseBoolean(text)).toBe(false);
});

test.each(['', '2', 'ja', 'yes ', 'miep'])('%j is neither', (text) => {
  expect(parseBoolean(text)).toBeUndefined();
});
