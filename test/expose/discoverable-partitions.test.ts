import { expect, test } from 'bun:test';
import {
  DISCOVERABLE_PARTITIONS,
  type DiscoverablePartitions,
} from '../../src/expose/discoverable-partitions.ts';
import { run } from '../fixtures/run.ts';

/** What systemd calls the architectures, and the kinds of partitions, in `systemd-id128 show`. */
const ARCHITECTURES = { x64: 'x86-64', arm64: 'arm64', riscv64: 'riscv64', loong64: 'loongarch64' } as const;
const KINDS: Readonly<Record<keyof DiscoverablePartitions, (architecture: string) => string>> = {
  root: (architecture) => `root-${architecture}`,
  rootVerity: (architecture) => `root-${architecture}-verity`,
  rootVeritySignature: (architecture) => `root-${architecture}-verity-sig`,
  usrVerity: (architecture) => `usr-${architecture}-verity`,
  usrVeritySignature: (architecture) => `usr-${architecture}-verity-sig`,
};

/** By systemd's own names. */
const known = new Map(
  run(['systemd-id128', 'show', '--uuid'])
    .toString()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .map(([name = '', id = '']) => [name, id]),
);

test('the types of partitions are those that systemd knows', () => {
  expect(Object.keys(DISCOVERABLE_PARTITIONS).sort()).toEqual(Object.keys(ARCHITECTURES).sort());
  for (const [architecture, types] of Object.entries(DISCOVERABLE_PARTITIONS)) {
    const named = ARCHITECTURES[architecture as keyof typeof ARCHITECTURES];
    const expected = Object.entries(KINDS).map(([kind, nameOf]) => [kind, known.get(nameOf(named))]);
    expect({ architecture, ...types }).toEqual({ architecture, ...Object.fromEntries(expected) });
  }
});
