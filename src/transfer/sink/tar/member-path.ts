import { type Name, NameBuffer } from '../../../kernel/directory-tree.ts';
import { NAME_MAX, PATH_MAX } from '../../../kernel/name-limits.ts';
import { printableName } from './printable-name.ts';
import { escapes, malformed } from './tar-error.ts';
import { beyondLimit, type TarLimits } from './tar-limits.ts';

/**
 * The path of a member as a list of plain names, each ready for the kernel: `usr/./bin//env` is "usr", "bin",
 * "env". One object serves all members in turn. It cannot hold a path that climbs: that is refused when assigned. Only
 * while a symbolic link is followed ({@link follow}) may there be `..` in it.
 */
export class MemberPath {
  /** The names, a NUL behind each. */
  readonly #names = new NameBuffer(PATH_MAX);
  readonly #starts: Uint16Array;
  /** Some of the names, a slash between them. */
  readonly #joined = new NameBuffer(PATH_MAX);
  readonly #limits: TarLimits;
  #depth = 0;
  #isAbsolute = false;

  constructor(limits: TarLimits) {
    this.#limits = limits;
    this.#starts = new Uint16Array(limits.depth + 1);
  }

  /** How many names there are; 0 is the target directory itself. */
  get depth(): number {
    return this.#depth;
  }

  /** Whether it was assigned with a slash before it. */
  get isAbsolute(): boolean {
    return this.#isAbsolute;
  }

  /**
   * Takes the path of a member, or of a hard link's target, from the target directory on: `/` is that directory itself.
   *
   * @param what to call it in an error: "the member", "the target of the hard link"
   * @throws RdpullError `tar-escape` when it climbs with `..` or holds a NUL; `limit-exceeded` when it
   *   is too long or too deep; `tar-malformed` when a name in it is longer than Linux allows
   */
  assign(path: Uint8Array, what: string): void {
    this.#isAbsolute = path[0] === 0x2f;
    const { path: maxLength, depth: maxDepth } = this.#limits;
    if (path.length > maxLength) {
      throw beyondLimit(
        'path',
        maxLength,
        `${what} ${printableName(path)} has a path of ${path.length} bytes; the limit is ${maxLength}`,
      );
    }
    this.#depth = 0;
    let end = 0;
    for (let at = 0; at < path.length; ) {
      const slash = path.indexOf(0x2f, at);
      const next = slash === -1 ? path.length : slash;
      if (!isDot(path, at, next)) {
        if (isDotDot(path, at, next)) throw escapes(`${what} ${printableName(path)} climbs out with ".."`);
        if (next - at > NAME_MAX) {
          throw malformed(
            `${what} ${printableName(path)} has a name of ${next - at} bytes; Linux allows ${NAME_MAX}`,
          );
        }
        if (this.#depth === maxDepth) {
          throw beyondLimit(
            'depth',
            maxDepth,
            `${what} ${printableName(path)} is more than ${maxDepth} names deep, which is the limit`,
          );
        }
        this.#starts[this.#depth] = end;
        this.#depth++;
        for (let i = at; i < next; i++) {
          const byte = path[i] ?? 0;
          if (byte === 0) throw escapes(`${what} ${printableName(path)} has a name with a NUL byte`);
          this.#names.bytes[end++] = byte;
        }
        this.#names.bytes[end++] = 0;
      }
      at = next + 1;
    }
    this.#starts[this.#depth] = end;
  }

  /**
   * Puts the target of a symbolic link in place of the name number `index`, which is that link, and of all names before it
   * where the target is absolute: it means the target directory then. Returns the number of names that came with the target.
   *
   * @throws RangeError when the path becomes longer or deeper than a path may be
   */
  follow(index: number, target: Uint8Array): number {
    const kept = target[0] === 0x2f ? 0 : index;
    const before = Buffer.from(this.#names.bytes.subarray(0, this.#start(kept)));
    const behind = Buffer.from(this.#names.bytes.subarray(this.#start(index + 1), this.#start(this.#depth)));
    const names = splitPath(target);
    const all = Buffer.concat([before, ...names.flatMap((name) => [name, NUL]), behind]);
    const starts = [0, ...endsOfNames(all)];
    if (all.length > PATH_MAX || starts.length > this.#starts.length)
      throw new RangeError('the path is too long');
    this.#names.bytes.set(all);
    this.#starts.set(starts);
    this.#depth = starts.length - 1;
    return kept + names.length;
  }

  /** Whether the name number `index` is `..`, as only a link can bring it. */
  climbsAt(index: number): boolean {
    const start = this.#start(index);
    return isDotDot(this.#names.bytes, start, this.#start(index + 1) - 1);
  }

  /** Takes the name number `index` out, and the one before it. */
  climb(index: number): void {
    const from = this.#start(index - 1);
    const removed = this.#start(index + 1) - from;
    this.#names.bytes.copyWithin(from, from + removed, this.#start(this.#depth));
    for (let at = index + 1; at <= this.#depth; at++) this.#starts[at - 2] = this.#start(at) - removed;
    this.#depth -= 2;
  }

  /** Takes a path back from its {@link key}. */
  assignKey(key: string): void {
    this.#depth = 0;
    let end = 0;
    if (key !== '') {
      for (const name of key.split('\0')) {
        this.#starts[this.#depth] = end;
        this.#depth++;
        end += this.#names.bytes.write(name, end, 'latin1');
        this.#names.bytes[end++] = 0;
      }
    }
    this.#starts[this.#depth] = end;
  }

  /** The name number `index`, for the kernel. */
  name(index: number): Name {
    return this.#names.name(this.#start(index));
  }

  /** The names from number `first` on and before number `end`, a slash between them; good until the next call. */
  joined(first: number, end: number): Name {
    const offset = this.#start(first);
    const last = this.#start(end) - 1;
    const { bytes: names } = this.#names;
    const { bytes } = this.#joined;
    for (let at = offset; at < last; at++) bytes[at - offset] = names[at] || 0x2f;
    bytes[last - offset] = 0;
    return this.#joined.name(0);
  }

  /** All names, a slash between them; good until the next call. */
  get whole(): Name {
    return this.joined(0, this.#depth);
  }

  /** The last name, for the kernel. */
  get lastName(): Name {
    return this.name(this.#depth - 1);
  }

  /** The last name's bytes; `.` for the target directory itself. */
  get lastNameBytes(): Uint8Array {
    if (this.#depth === 0) return Buffer.from('.');
    return this.#names.bytes.subarray(this.#start(this.#depth - 1), this.#start(this.#depth) - 1);
  }

  /** A string that stands for the first `depth` names; '' for the target directory itself. */
  key(depth: number = this.#depth): string {
    return depth === 0 ? '' : this.#names.bytes.toString('latin1', 0, this.#start(depth) - 1);
  }

  /** The bytes of the first `depth` names, a NUL between them; good until the path changes. */
  bytes(depth: number): Uint8Array {
    return this.#names.bytes.subarray(0, Math.max(0, this.#start(depth) - 1));
  }

  /** The bytes of the name number `index`; good until the path changes. */
  nameBytes(index: number): Uint8Array {
    return this.#names.bytes.subarray(this.#start(index), this.#start(index + 1) - 1);
  }

  /** Takes the first `count` bytes off the last name, which is longer than that. */
  shortenLastName(count: number): void {
    const start = this.#start(this.#depth - 1);
    const end = this.#start(this.#depth);
    if (start + count + 1 >= end) throw new RangeError('nothing would be left of the name');
    this.#names.bytes.copyWithin(start, start + count, end);
    this.#starts[this.#depth] = end - count;
  }

  /** The first `depth` names, in quotes and fit for a terminal. */
  printable(depth: number = this.#depth): string {
    if (depth === 0) return '"."';
    const bytes = this.#names.bytes.subarray(0, this.#start(depth) - 1);
    return printableName(bytes.map((byte) => (byte === 0 ? 0x2f : byte)));
  }

  #start(index: number): number {
    const start = this.#starts[index];
    if (start === undefined || index > this.#depth) throw new RangeError(`no name number ${index}`);
    return start;
  }
}

const NUL = Buffer.alloc(1);

/** The names of a link's target, `..` among them. */
function splitPath(path: Uint8Array): Uint8Array[] {
  const names: Uint8Array[] = [];
  for (let at = 0; at < path.length; ) {
    const slash = path.indexOf(0x2f, at);
    const end = slash === -1 ? path.length : slash;
    if (!isDot(path, at, end)) names.push(path.subarray(at, end));
    at = end + 1;
  }
  return names;
}

/** Where the NULs are that end names, and one more. */
function endsOfNames(names: Uint8Array): number[] {
  const ends: number[] = [];
  for (let at = names.indexOf(0); at !== -1; at = names.indexOf(0, at + 1)) ends.push(at + 1);
  return ends;
}

function isDot(path: Uint8Array, start: number, end: number): boolean {
  return end === start || (end === start + 1 && path[start] === 0x2e);
}

function isDotDot(path: Uint8Array, start: number, end: number): boolean {
  return end === start + 2 && path[start] === 0x2e && path[start + 1] === 0x2e;
}
