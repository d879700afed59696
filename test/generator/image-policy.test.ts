import { expect, test } from 'bun:test';
import { insistsOnSignature } from '../../src/generator/image-policy.ts';

test.each([
  'root=signed',
  'root=signed+absent:usr=signed',
  'usr=signed+read-only-on:root=absent',
  'root=signed:swap=absent+unused:=unused',
])('%s lets nothing be used that is not signed', (policy) => {
  expect(insistsOnSignature(policy)).toBe(true);
});

test.each([
  '',
  '*',
  '-',
  '~',
  'root=verity',
  'root=signed+verity',
  'root=signed+unprotected:usr=signed',
  'root=signed:home=unprotected',
  'root=signed:esp=unprotected+absent',
  'root=signed:=open',
  'root=absent:usr=unused',
  'root=encrypted',
  'root=open',
  'root=',
  'root',
  'root=signed:',
  'home=signed',
  'root=signed:=signed',
])('%s lets something be used that is not, or nothing', (policy) => {
  expect(insistsOnSignature(policy)).toBe(false);
});
