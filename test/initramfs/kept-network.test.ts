import { expect, test } from 'bun:test';
import fs from 'node:fs';
import { keepNetwork } from '../../src/initramfs/kept-network.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

test('networkd leaves the addresses while the root comes over the network, and no longer', () => {
  using directory = new TemporaryDirectory();
  const dropIn = directory.file('systemd-networkd.service.d/50-rdpull.conf');
  const warnings: string[] = [];
  const kept = keepNetwork((text) => warnings.push(text), dropIn);
  expect(fs.readFileSync(dropIn, 'utf8')).toBe(
    '# Written by rdpull for as long as the root comes over the network.\n\n[Service]\nKillSignal=SIGUSR2\n',
  );
  kept[Symbol.dispose]();
  expect(fs.existsSync(dropIn)).toBe(false);
  expect(warnings).toEqual([]);
});

test('where it cannot be written, a line says so', () => {
  using directory = new TemporaryDirectory();
  const dropIn = `${directory.write('file', '')}/50-rdpull.conf`;
  const warnings: string[] = [];
  keepNetwork((text) => warnings.push(text), dropIn)[Symbol.dispose]();
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toStartWith('the network may be gone before the machine is down: ');
});
