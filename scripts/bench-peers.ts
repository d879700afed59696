import path from 'node:path';
import type { StagePeaks } from './bench-usage.ts';

const SYSTEMD_PULL = '/usr/lib/systemd/systemd-pull';

/** What a peer is to do: pull `url`/`fileName`, and leave it unpacked somewhere in `target`. */
export interface Task {
  readonly url: string;
  readonly fileName: string;
  /** An empty directory. */
  readonly target: string;
}

export interface Peer {
  readonly name: string;
  /** How it checks what it pulled. */
  readonly verified: string;
  command(task: Task): readonly string[];
  /** The unpacked image that the command leaves. */
  output(target: string): string;
  stagePeaks(scratch: string): StagePeaks;
}

/** All of them check SHA-256, and end when the image is on the disk: rdpull and systemd-pull call fsync(2), dd is told to. */
export function peers(rdpull: string, scratch: string): readonly [Peer, ...Peer[]] {
  const output = (target: string) => path.join(target, 'pulled.raw');
  const oneProcess = () => undefined;
  const systemdPull = (task: Task, ...options: readonly string[]) => [
    SYSTEMD_PULL,
    'raw',
    '--verify=checksum',
    '--settings=no',
    '--roothash=no',
    '--roothash-signature=no',
    '--verity=no',
    ...options,
    `${task.url}/${task.fileName}`,
  ];
  return [
    {
      name: 'rdpull',
      verified: 'SHA256SUMS',
      command: ({ url, fileName, target }) => [
        rdpull,
        'pull',
        '--type=raw',
        '--verify=checksum',
        '--local=pulled',
        `--image-root=${target}`,
        `${url}/${fileName}`,
      ],
      output,
      stagePeaks: oneProcess,
    },
    {
      name: 'systemd-pull',
      verified: 'SHA256SUMS',
      command: (task) => [...systemdPull(task, `--image-root=${task.target}`), 'pulled'],
      output,
      stagePeaks: oneProcess,
    },
    {
      // Without the second, pristine copy that it otherwise keeps.
      name: 'systemd-pull --direct',
      verified: 'SHA256SUMS',
      command: (task) => [...systemdPull(task, '--direct'), output(task.target)],
      output,
      stagePeaks: oneProcess,
    },
    {
      name: 'curl | tee | xz | dd',
      verified: 'sha256sum',
      command: ({ url, fileName, target }) => [
        'bash',
        '-c',
        pipeline(fileName),
        'bash',
        url,
        fileName,
        output(target),
        path.join(scratch, 'stages'),
      ],
      output,
      stagePeaks: () => path.join(scratch, 'stages'),
    },
  ];
}

/**
 * `curl URL | tee >(sha256sum) | xz -dc | dd conv=sparse`, written so that the digest is waited for and compared.
 * $1 base URL, $2 file, $3 output, $4 where each stage adds its peak resident set.
 */
function pipeline(fileName: string): string {
  const unpack = UNPACK[path.extname(fileName)];
  return `set -euo pipefail
stage() { /usr/bin/time --quiet -f %M -a -o "$stages" "$@"; }
stages=$4
mkfifo "$3.bytes"
stage sha256sum <"$3.bytes" >"$3.digest" &
stage curl -sSf "$1/$2" | stage tee "$3.bytes" |${unpack === undefined ? '' : ` stage ${unpack} |`}
  stage dd of="$3" bs=64K iflag=fullblock conv=sparse,fsync status=none
wait $!
curl -sSf "$1/SHA256SUMS" | grep -x "$(cut -d ' ' -f 1 "$3.digest")  $2" >/dev/null`;
}

/** By the end of the file name. xz is told to use all processors, which its version 5.4 does not do by itself. */
const UNPACK: Readonly<Record<string, string>> = {
  '.xz': 'xz -T0 -dc',
  '.zst': 'zstd -q -dc',
  '.gz': 'gzip -dc',
};
