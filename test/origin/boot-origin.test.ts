import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { findBootOrigin } from '../../src/origin/boot-origin.ts';
import { refusal, survives } from '../request/refusal.ts';
import { SeededRandom } from '../request/seeded-random.ts';
import { bytes, END, efiString, FakeEfivars, GLOBAL, LOADER, loadOption, NETWORK, uri } from './efi-image.ts';

const UKI = 'http://192.168.100.1:8081/uki.efi';

describe('the boot origin', () => {
  test('is asked of systemd-stub, then of the boot loader, then of the firmware', () => {
    using efivars = new FakeEfivars();
    const find = () => findBootOrigin({ efivars: efivars.directory });
    expect(find()).toBeUndefined();

    efivars.set(`BootCurrent-${GLOBAL}`, bytes([0x0a, 0x1b]));
    expect(find()).toBeUndefined();
    efivars.set(`Boot1B0A-${GLOBAL}`, loadOption('UEFI HTTPv4', bytes(NETWORK, uri('http://h/entry'), END)));
    expect(find()).toEqual({ url: 'http://h/entry', source: 'BootCurrent' });

    efivars.set(`LoaderDevicePathURL-${LOADER}`, efiString('http://h/path'));
    expect(find()).toEqual({ url: 'http://h/path', source: 'LoaderDevicePathURL' });

    efivars.set(`LoaderDeviceURL-${LOADER}`, efiString('https://h/loader'));
    expect(find()).toEqual({ url: 'https://h/loader', source: 'LoaderDeviceURL' });

    efivars.set(`StubDeviceURL-${LOADER}`, efiString(UKI));
    expect(find()).toEqual({ url: UKI, source: 'StubDeviceURL' });
  });

  test('is unknown on a machine without EFI', () => {
    expect(findBootOrigin({ efivars: '/nonexistent/efivars' })).toBeUndefined();
  });

  test('is unknown when the firmware booted from disk, or learned the URL from DHCP', () => {
    using efivars = new FakeEfivars();
    efivars.set(`BootCurrent-${GLOBAL}`, bytes([0, 0]));
    efivars.set(`Boot0000-${GLOBAL}`, loadOption('disk', END));
    expect(findBootOrigin({ efivars: efivars.directory })).toBeUndefined();
    efivars.set(`Boot0000-${GLOBAL}`, loadOption('UEFI HTTPv4', bytes(NETWORK, uri(''), END)));
    expect(findBootOrigin({ efivars: efivars.directory })).toBeUndefined();
    efivars.set(`BootCurrent-${GLOBAL}`, bytes([0]));
    expect(findBootOrigin({ efivars: efivars.directory })).toBeUndefined();
  });

  test.each([`${UKI}\x7f\x04`, `${UKI}\x7f`, `${UKI}\r\n`])(
    'loses the control bytes at its end: %j',
    (value) => {
      using efivars = new FakeEfivars();
      efivars.set(`StubDeviceURL-${LOADER}`, efiString(value));
      expect(findBootOrigin({ efivars: efivars.directory })?.url).toBe(UKI);
      efivars.setRaw(`StubDeviceURL-${LOADER}`, bytes());
      efivars.set(`BootCurrent-${GLOBAL}`, bytes([1, 0]));
      efivars.set(`Boot0001-${GLOBAL}`, loadOption('', bytes(uri(value), END)));
      expect(findBootOrigin({ efivars: efivars.directory })).toEqual({ url: UKI, source: 'BootCurrent' });
    },
  );

  test('skips a variable that holds nothing', () => {
    using efivars = new FakeEfivars();
    efivars.set(`StubDeviceURL-${LOADER}`, efiString(''));
    efivars.set(`LoaderDeviceURL-${LOADER}`, efiString('http://h/loader'));
    expect(findBootOrigin({ efivars: efivars.directory })?.source).toBe('LoaderDeviceURL');
  });

  test.each<[string, string]>([
    ['ftp://h/u.efi', 'ftp://h/u.efi'],
    ['file:///u.efi', 'file:///u.efi'],
    ['http://', 'http://'],
    ['http://h/ä', 'http://h/ä'],
    ['http://h/\x1b[2Jx', 'http://h/\\x1b[2Jx'],
  ])('is refused when it is no HTTP URL, and shown safely: %j', (value, shown) => {
    using efivars = new FakeEfivars();
    efivars.set(`StubDeviceURL-${LOADER}`, efiString(value));
    efivars.set(`LoaderDeviceURL-${LOADER}`, efiString('http://h/loader'));
    expect(refusal(() => findBootOrigin({ efivars: efivars.directory })).toRecord()).toEqual({
      code: 'bad-url',
      message: `the EFI variable StubDeviceURL says that this machine was booted from "${shown}", which is no http or https URL`,
      hint: 'boot over HTTP, or write the whole URL into the pull expression instead of bootorigin',
    });
  });

  test('is refused when a variable cannot be read', () => {
    using efivars = new FakeEfivars();
    fs.mkdirSync(path.join(efivars.directory, `StubDeviceURL-${LOADER}`));
    expect(refusal(() => findBootOrigin({ efivars: efivars.directory })).code).toBe('file-unreadable');
  });
});

test('survives 2000 random sets of variables; what it finds is printable ASCII', () => {
  using efivars = new FakeEfivars();
  const random = new SeededRandom(9);
  let found = 0;
  for (let round = 0; round < 2000; round++) {
    const url = random.text(['http://', 'h', '/', '\x7f', '\x04', 'ä', '\ud800', '\0', '\x1b[2J'], 6);
    const entry = loadOption('x', bytes(random.bytes(8), uri(`http://${url}`), random.bytes(8)));
    entry[random.below(entry.length)] = random.below(256);
    efivars.set(
      `StubDeviceURL-${LOADER}`,
      random.pick([efiString(url), efiString(`http://${url}`), random.bytes(32)]),
    );
    if (random.below(2) === 0) efivars.setRaw(`StubDeviceURL-${LOADER}`, random.bytes(6));
    efivars.set(`BootCurrent-${GLOBAL}`, random.pick([bytes([7, 0]), bytes([7, 0, 0, 0]), random.bytes(3)]));
    efivars.set(`Boot0007-${GLOBAL}`, entry);
    survives(() => {
      const origin = findBootOrigin({ efivars: efivars.directory });
      if (origin !== undefined) {
        found++;
        expect(origin.url).toMatch(/^https?:\/\/[\x20-\x7e]+$/);
      }
    });
  }
  expect(found).toBeGreaterThan(50);
});
