import { expect, test } from 'bun:test';
import { isWebPage } from '../../src/verify/web-page.ts';

test.each([
  '<!DOCTYPE html><html><title>Not found</title>',
  '<!doctype HTML PUBLIC "-//W3C//DTD HTML 4.01//EN">',
  '<html lang="en">',
  '\n  <HTML>',
  '\u{feff}<!doctype html>',
])('takes %p for a web page', (text) => {
  expect(isWebPage(Buffer.from(text))).toBe(true);
});

test.each([
  '',
  'abc  <html>',
  '<htmlx>',
  '<?xml version="1.0"?><Error/>',
  '-----BEGIN PGP SIGNATURE-----',
  `${'a'.repeat(64)}  <html>`,
])('does not take %p for one', (text) => {
  expect(isWebPage(Buffer.from(text))).toBe(false);
});

test('does not take a binary signature for one', () => {
  expect(isWebPage(Uint8Array.of(0x88, 0x75, 0x04, 0x00))).toBe(false);
});
