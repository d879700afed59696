import fs from 'node:fs';
import os from 'node:os';
import { SYSTEMD_262_PULL } from './bench-peers.ts';
import { shell } from './bench-shell.ts';

/** What a figure is worthless without. */
export interface Machine {
  readonly cores: number;
  readonly processor: string;
  /** Bytes. */
  readonly memory: number;
  readonly system: string;
  readonly kernel: string;
  /** Processes that wanted to run in the last minute before the measurement (proc_loadavg(5)). */
  readonly load: number;
}

export function describeMachine(): Machine {
  const release = fs.readFileSync('/etc/os-release', 'utf8');
  return {
    cores: os.availableParallelism(),
    processor: os.cpus()[0]?.model.trim() ?? 'unknown processor',
    memory: os.totalmem(),
    system: /^PRETTY_NAME="?(.*?)"?$/m.exec(release)?.[1] ?? 'unknown system',
    kernel: os.release(),
    load: os.loadavg()[0] ?? Number.NaN,
  };
}

/** Name and version of everything that is measured or measures. */
export function describeVersions(rdpull: string): Readonly<Record<string, string>> {
  const versionOf = (command: string) => {
    const text = shell(`${command} 2>&1`, rdpull);
    return /\d+(?:\.\d+)+/.exec(text)?.[0] ?? /\d+/.exec(text)?.[0] ?? text;
  };
  return {
    rdpull: versionOf('"$1" --version'),
    systemd: versionOf('/usr/lib/systemd/systemd-pull --version'),
    'systemd of forky': versionOf(`${SYSTEMD_262_PULL.join(' ')} --version`),
    'liblzma in rdpull': versionOf(
      "strings -n 3 dist/libraries/liblzma.so | awk '/^5[.][0-9.]+$/ { version = $0 } END { print version }'",
    ),
    curl: versionOf('curl --version'),
    xz: versionOf('xz --version'),
    zstd: versionOf('zstd --version'),
    gzip: versionOf('gzip --version'),
    nginx: versionOf('nginx -v'),
    bun: Bun.version,
  };
}
