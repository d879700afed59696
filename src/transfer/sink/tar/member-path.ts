import { type Name, NameBuffer } from '../../../kernel/directory-tree.ts';
import { NAME_MAX, PATH_MAX } from '../../../kernel/name-limits.ts';
import { printableName } from './printable-name.ts';
import { escapes, malformed } from './tar-error.ts';
import { beyondLimit, type TarLimits } from './tar-limits.ts';

/**
 * The path of a member as a list of plain names, each ready for the kernel: `usr/./bin//env` is "usr", "bin",
 * "env". One object serves all members in turn. It cannot hold a path that climbs: that is refused when assigned.
 */
export class MemberPath {
  /** The names, a NUL behind each. */
  readonly #names = new NameBuffer(PATH_MAX);
  readonly #starts: Uint16Array;
  /** Some of the names, a slash between them. */
  readonly #joined = new NameBuffer(PATH_MAX);
  readonly #limits: TarLimits;
  #depth = 0;

  constructor(limits: TarLimits) {
    this.#limits = limits;
    this.#starts = new Uint16Array(limits.depth + 1);
  }

  /** How many names there are; 0 is the target directory itself. */
  get depth(): number {
    return this.#depth;
  }

  /**
   * Takes the path of a member, or of a hard link's target.
   *
   * @param what to call it in an error: "the member", "the target of the hard link"
   * @throws RdpullError `tar-escape` when it is absolute, climbs with `..` or holds a NUL; `limit-exceeded` when it
   *   is too long or too deep; `tar-malformed` when a name in it is longer than Linux allows
   */
  assign(path: Uint8Array, what: string): void {
    if (path[0] === 0x2f) throw escapes(`${what} ${printableName(path)} has an absolute name`);
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
    const { bytes } = this.#joined;
    const length = this.#names.bytes.copy(bytes, 0, offset, this.#start(end)); // the last NUL, too
    for (let at = bytes.indexOf(0); at < length - 1; at = bytes.indexOf(0, at)) bytes[at] = 0x2f;
    return this.#joined.name(0);
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

function isDot(path: Uint8Array, start: number, end: number): boolean {
  return end === start || (end === start + 1 && path[start] === 0x2e);
}

function isDotDot(path: Uint8Array, start: number, end: number): boolean {
  return end === start + 2 && path[start] === 0x2e && path[start + 1] === 0x2e;
}
