import { describe, expect, test } from 'bun:test';
import { lacksBootUrl } from '../../src/origin/boot-url-absence.ts';
import { bytes, efiString, FakeEfivars, GLOBAL, LOADER } from './efi-image.ts';

describe('that a machine was not booted over HTTP', () => {
  test('is certain without EFI, and when no variable says a URL', () => {
    using efivars = new FakeEfivars();
    efivars.set(`BootCurrent-${GLOBAL}`, bytes([0, 0]));
    expect(lacksBootUrl(efivars.directory)).toBe(true);
    expect(lacksBootUrl('/nonexistent/efi/efivars')).toBe(true);
  });

  test('is not certain while efivarfs is not mounted', () => {
    using efivars = new FakeEfivars();
    expect(lacksBootUrl(efivars.directory)).toBe(false);
    expect(lacksBootUrl(`${efivars.directory}/efivars`)).toBe(false);
  });

  test('is not so when a variable says a URL, or something else that the pull has to complain about', () => {
    using efivars = new FakeEfivars();
    efivars.set(`LoaderDeviceURL-${LOADER}`, efiString('http://h/image.efi'));
    expect(lacksBootUrl(efivars.directory)).toBe(false);
    efivars.set(`LoaderDeviceURL-${LOADER}`, efiString('tftp://h/image.efi'));
    expect(lacksBootUrl(efivars.directory)).toBe(false);
  });
});
