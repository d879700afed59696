import fs from 'node:fs';
import { printable } from '../console/printable.ts';

/** For what an image was made, as Go spells it (OCI image specification, image-index.md, "platform"). */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** Empty where none is said. */
  readonly variant: string;
}

/** What a machine runs: the variants best first; those that are not there it does not. */
export interface MachinePlatform {
  readonly architecture: string;
  readonly variants: readonly string[];
}

/**
 * The flags of /proc/cpuinfo that each level has beyond the one before (x86-64 psABI, "Micro-Architecture Levels"). Without abm (LZCNT),
 * which virtual machines do not show though it is there: no processor has BMI1, but not that.
 */
const LEVELS: readonly (readonly [string, readonly string[]])[] = [
  ['v2', ['cx16', 'lahf_lm', 'popcnt', 'pni', 'sse4_1', 'sse4_2', 'ssse3']],
  ['v3', ['avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'movbe', 'xsave']],
  ['v4', ['avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl']],
];

/**
 * What a machine of an architecture runs.
 *
 * @param cpuFlags what its processor has beyond that, on x86-64
 */
export function machinePlatform(
  architecture: NodeJS.Architecture,
  cpuFlags: ReadonlySet<string> = new Set(),
): MachinePlatform {
  if (architecture === 'arm64') return { architecture: 'arm64', variants: ['v8', ''] };
  if (architecture !== 'x64') return { architecture, variants: [''] };
  const levels: string[] = [];
  for (const [level, flags] of LEVELS) {
    if (!flags.every((flag) => cpuFlags.has(flag))) break;
    levels.unshift(level);
  }
  return { architecture: 'amd64', variants: [...levels, 'v1', ''] };
}

/** What this machine runs. */
export function thisPlatform(): MachinePlatform {
  return machinePlatform(process.arch, process.arch === 'x64' ? cpuFlags() : undefined);
}

/** `linux/arm64/v8` */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return printable([os, architecture, ...(variant === '' ? [] : [variant])].join('/'));
}

/** How well an image of `platform` fits, the smaller the better; undefined when it does not run here. */
export function fitness(platform: Platform, machine: MachinePlatform): number | undefined {
  if (platform.os !== 'linux' || platform.architecture !== machine.architecture) return undefined;
  const place = machine.variants.indexOf(platform.variant);
  return place < 0 ? undefined : place;
}

function cpuFlags(): ReadonlySet<string> {
  try {
    const flags = /^flags\s*:(.*)$/m.exec(fs.readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
    return new Set(flags.trim().split(' '));
  } catch {
    // What every processor of the architecture runs is there as well.
    return new Set();
  }
}
