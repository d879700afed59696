import path from 'node:path';

const SYSTEMD_PULL = '/usr/lib/systemd/systemd-pull';
/** Made by scripts/systemd-tree. */
export const SYSTEMD_TREE = path.resolve('dist/systemd/forky');
export const SYSTEMD_262_PULL = [`${SYSTEMD_TREE}/run`, 'usr/lib/systemd/systemd-pull'] as const;

/** Names that targets are set for. */
export const SYSTEMD_262 = 'systemd-pull 262';
export const SYSTEMD_252 = 'systemd-pull 252 --direct';
export const PIPELINE = 'curl | tee | xz | dd';

/** What a peer is to do: pull `url`/`fileName`, and leave it unpacked as {@link PULLED} in `target`. */
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
  /** `stagePeaks`: where a pipeline leaves the peak resident set of each of its stages, KiB, one a line. */
  command(task: Task, stagePeaks: string): readonly string[];
  readonly pipeline: boolean;
}

export const PULLED_NAME = 'pulled';
/** The name of the unpacked image. */
export const PULLED = `${PULLED_NAME}.raw`;

/**
 * rdpull, then the others.
 *
 * They check SHA-256 where `verified` says so, and end when the image is on the disk: rdpull and systemd-pull call
 * fsync(2), dd is told to.
 */
export function peers(rdpull: string): readonly [Peer, ...Peer[]] {
  const companions = ['--settings=no', '--roothash=no', '--roothash-signature=no', '--verity=no'];
  return [
    {
      name: 'rdpull',
      verified: 'SHA256SUMS',
      command: ({ url, fileName, target }) => [
        rdpull,
        'pull',
        '--type=raw',
        '--verify=checksum',
        `--local=${PULLED_NAME}`,
        `--image-root=${target}`,
        `${url}/${fileName}`,
      ],
      pipeline: false,
    },
    {
      name: SYSTEMD_262,
      verified: 'SHA256SUMS',
      command: (task) => [
        ...SYSTEMD_262_PULL,
        'raw',
        ...companions,
        // Without a second, pristine copy.
        '--keep-download=no',
        '--verify=checksum',
        `--image-root=${task.target}`,
        `${task.url}/${task.fileName}`,
        PULLED_NAME,
      ],
      pipeline: false,
    },
    {
      // At its leanest: when it verifies, it keeps all that it unpacks in memory as well, and otherwise a second copy.
      name: SYSTEMD_252,
      verified: 'nothing',
      command: (task) => [
        SYSTEMD_PULL,
        'raw',
        ...companions,
        '--verify=no',
        '--direct',
        `${task.url}/${task.fileName}`,
        path.join(task.target, PULLED),
      ],
      pipeline: false,
    },
    {
      name: PIPELINE,
      verified: 'sha256sum',
      command: ({ url, fileName, target }, stagePeaks) => [
        'bash',
        '-c',
        pipeline(fileName),
        'bash',
        url,
        fileName,
        path.join(target, PULLED),
        stagePeaks,
      ],
      pipeline: true,
    },
  ];
}

/** The same, allowed to use the first processor only. */
export function onOneCore({ name, command, ...peer }: Peer): Peer {
  return {
    ...peer,
    name: `${name} on one core`,
    command: (...task) => ['taskset', '--cpu-list', '0', ...command(...task)],
  };
}

/** QEMU's emulation of one program of this machine's own architecture, with all that it emulates of a processor. */
const EMULATOR = [{ x64: 'qemu-x86_64', arm64: 'qemu-aarch64' }[process.arch as string] ?? '', '-cpu', 'max'];

/** The same on an emulated processor, of which there is one; without verification, as the slow machines of a laboratory have it. */
export function onEmulatedProcessor({ name, command, ...peer }: Peer): Peer {
  return {
    ...peer,
    name: `${name}, emulated`,
    verified: 'nothing',
    command(...task) {
      const words = command(...task).map((word) => (word === '--verify=checksum' ? '--verify=no' : word));
      return ['taskset', '--cpu-list', '0', ...EMULATOR, ...withoutScript(words)];
    },
  };
}

/** A program of the tree is run by a script, which the emulator would leave to the machine itself. */
function withoutScript(command: readonly string[]): readonly string[] {
  const [runner, program = '', ...args] = command;
  if (runner !== SYSTEMD_262_PULL[0]) return command;
  const [loader = ''] = new Bun.Glob('usr/lib/*-linux-gnu/ld-linux*.so.*').scanSync(SYSTEMD_TREE);
  const libraries = path.join(SYSTEMD_TREE, path.dirname(loader));
  const found = ['--library-path', `${libraries}/systemd:${libraries}`, path.join(SYSTEMD_TREE, program)];
  return [path.join(SYSTEMD_TREE, loader), ...found, ...args];
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
