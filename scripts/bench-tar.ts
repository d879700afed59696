import fs from 'node:fs';
import path from 'node:path';
import type { Entry, Site } from './bench-comparison.ts';
import { once, pickFiles } from './bench-inputs.ts';
import { PULLED_NAME, SYSTEMD_262_PULL } from './bench-peers.ts';
import { shell } from './bench-shell.ts';
import { TAR_TARGET } from './bench-targets.ts';
import { measure } from './bench-usage.ts';

const MIB = 1024 * 1024;
/** About as much, in as many files, as a root file system of Debian has. */
const BYTES = 570 * MIB;
const LEAST_BYTES = 2048;

const DIRECTORY = 'tree';
const TARBALL = 'root.tar';
const GNU_TAR = ['tar', '--numeric-owner', '--xattrs', '--xattrs-include=*', '--acls', '-xpf'] as const;

/** A tarball of files out of /usr, and the tree that GNU tar makes of it. */
export interface TarInputs {
  readonly file: string;
  readonly tree: string;
  readonly entries: number;
}

export function makeTarInputs(cache: string, note: (text: string) => void): TarInputs {
  const directory = path.join(cache, DIRECTORY);
  fs.mkdirSync(directory, { recursive: true });
  const file = path.join(directory, TARBALL);
  const tree = path.join(directory, 'unpacked');
  once(file, (unfinished) => {
    note(`making ${file}`);
    const { files } = pickFiles(BYTES, LEAST_BYTES);
    const directories = new Set(files.flatMap(parents));
    const names = `${unfinished}.names`;
    fs.writeFileSync(names, [...[...directories].sort(), ...files].map((name) => `${name}\0`).join(''));
    shell('tar --format=pax --xattrs --acls -C / --null --no-recursion -T "$1" -cf "$2"', names, unfinished);
    fs.rmSync(names);
    shell('cd "$1" && sha256sum <"$2" | sed "s/-/$3/" >SHA256SUMS', directory, unfinished, TARBALL);
  });
  once(tree, (unfinished) => {
    fs.mkdirSync(unfinished);
    shell('file=$1 into=$2; shift 2; "$@" "$file" -C "$into"', file, unfinished, ...GNU_TAR);
  });
  return { file, tree, entries: Number(shell('tar -tf "$1" | wc -l', file)) };
}

/** The directories above a file, as names from the root. */
function parents(file: string): string[] {
  const words = file.split('/');
  return words.slice(1).map((_, index) => words.slice(0, index + 1).join('/'));
}

/** Has room for the tree several times. */
const FILE_SYSTEM_BYTES = 8 * BYTES;

/**
 * rdpull, GNU tar with the file at hand, the same behind curl, and systemd-pull. Each run has a new ext4 file system of
 * its own: inodes that were just freed are passed over one by one (fs/ext4/ialloc.c, recently_deleted()), so that the
 * tree of one run would slow the next one down several times.
 */
export function tarEntries(rdpull: string, { file, tree }: TarInputs, site: Site): Entry[] {
  const fileSystem = path.join(site.destination, 'tree.ext4');
  const target = path.join(site.destination, 'tree');
  const made = path.join(target, PULLED_NAME);
  const url = `${site.url}/${DIRECTORY}/${TARBALL}`;
  const entry = (peer: string, verified: string, command: readonly string[], ratio?: number): Entry => ({
    peer,
    verified,
    ...(ratio !== undefined && { target: ratio }),
    async run() {
      fs.mkdirSync(target, { recursive: true });
      shell(
        'truncate -s "$1" "$2" && mkfs.ext4 -q "$2" && mount -o loop "$2" "$3"',
        String(FILE_SYSTEM_BYTES),
        fileSystem,
        target,
      );
      if (verified === '') fs.mkdirSync(made);
      shell('sync');
      const run = await measure(command, { scratch: site.scratch, stagePeaks: undefined });
      if (!run.ok) throw new Error(`${peer} fails with status ${run.status}: ${run.messages}`);
      shell('diff -r --no-dereference "$1" "$2" >&2', tree, made);
      shell('umount "$1" && rm "$2"', target, fileSystem);
      return run.usage;
    },
  });
  return [
    entry('rdpull', 'SHA256SUMS', [
      rdpull,
      'pull',
      '--type=tar',
      '--verify=checksum',
      `--local=${PULLED_NAME}`,
      `--image-root=${target}`,
      url,
    ]),
    entry('GNU tar, local file', '', [...GNU_TAR, file, '-C', made]),
    entry(
      'GNU tar, local file, and sync',
      '',
      [
        'bash',
        '-c',
        'set -eu; into=$1; shift; "$@"; sync -f "$into"',
        'bash',
        made,
        ...GNU_TAR,
        file,
        '-C',
        made,
      ],
      TAR_TARGET,
    ),
    entry('curl | GNU tar, and sync', '', [
      'bash',
      '-c',
      'set -euo pipefail; url=$1 into=$2; shift 2; curl -sSf "$url" | "$@" - -C "$into"; sync -f "$into"',
      'bash',
      url,
      made,
      ...GNU_TAR,
    ]),
    entry('systemd-pull 262', 'SHA256SUMS', [
      ...SYSTEMD_262_PULL,
      'tar',
      '--settings=no',
      '--keep-download=no',
      '--btrfs-subvol=no',
      '--verify=checksum',
      `--image-root=${target}`,
      url,
      PULLED_NAME,
    ]),
  ];
}
