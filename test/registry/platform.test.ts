import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { fitness, formatPlatform, machinePlatform, thisPlatform } from '../../src/registry/platform.ts';
import { run } from '../fixtures/run.ts';

const linux = (architecture: string, variant = '') => ({ os: 'linux', architecture, variant });
const V3 = 'cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3 avx avx2 bmi1 bmi2 f16c fma movbe xsave'.split(' ');

describe('what a machine runs', () => {
  test('x86-64: the best level that its processor has, then the lower ones', () => {
    const old = machinePlatform('x64');
    expect(
      [linux('amd64'), linux('amd64', 'v1'), linux('amd64', 'v2')].map((each) => fitness(each, old)),
    ).toEqual([1, 0, undefined]);
    const newer = machinePlatform('x64', new Set(V3));
    expect(['v4', 'v3', 'v2', 'v1', ''].map((variant) => fitness(linux('amd64', variant), newer))).toEqual([
      undefined,
      0,
      1,
      2,
      3,
    ]);
  });

  test('a level counts only with all below it', () => {
    expect(machinePlatform('x64', new Set(['avx2', 'avx', 'avx512f'])).variants).toEqual(['v1', '']);
  });

  test('arm64, with its variant or without', () => {
    const machine = machinePlatform('arm64');
    expect(
      [linux('arm64', 'v8'), linux('arm64'), linux('arm64', 'v9'), linux('arm', 'v7')].map((each) =>
        fitness(each, machine),
      ),
    ).toEqual([0, 1, undefined, undefined]);
  });

  test('nothing of another system', () => {
    expect(
      fitness({ os: 'windows', architecture: 'amd64', variant: '' }, machinePlatform('x64')),
    ).toBeUndefined();
  });

  test('this one is what glibc takes it for', () => {
    // "x86-64-v3 (supported, searched)"; nothing of that where glibc knows no levels.
    const loader = ['/lib64/ld-linux-x86-64.so.2', '/lib/ld-linux-aarch64.so.1'].find((file) =>
      fs.existsSync(file),
    );
    const help = run([loader ?? '', '--help']).toString();
    const levels = [...help.matchAll(/x86-64-(v\d) \(supported/g)].map(([, level = '']) => level);
    expect(
      thisPlatform().variants.filter((variant) => /^v[2-9]$/.test(variant) && process.arch === 'x64'),
    ).toEqual(levels);
  });
});

test('a platform is shown as everybody writes it', () => {
  expect([linux('arm64', 'v8'), linux('amd64'), linux('a\x1b[m')].map(formatPlatform)).toEqual([
    'linux/arm64/v8',
    'linux/amd64',
    'linux/a\\x1b[m',
  ]);
});
