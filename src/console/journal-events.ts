/**
 * The fields of our own in the journal (systemd.journal-fields(7), "User Journal Fields"), by the names that the code
 * has for them. They are promised to whoever reads the journal by a program: none is renamed or removed.
 */
export const JOURNAL_FIELDS = {
  /** Where the image comes from, without a login; after redirects once the server has answered. */
  url: 'RDPULL_URL',
  /** The path of the image, which is there once it is complete and verified. */
  target: 'RDPULL_TARGET',
  /** Bytes that the server announces. */
  size: 'RDPULL_SIZE',
  /** Bytes as served. */
  received: 'RDPULL_BYTES_RECEIVED',
  /** Bytes after decompression. */
  written: 'RDPULL_BYTES_WRITTEN',
  /** How long it took, or how long the pause before the next attempt is. */
  milliseconds: 'RDPULL_MILLISECONDS',
  /** Of the bytes as served, in lower-case hexadecimal digits; with `verify=no` only where somebody has asked for it. */
  sha256: 'RDPULL_SHA256',
  /** What vouched for it: `signature`, `checksum`, `sha256`, or `nothing`. */
  verifiedBy: 'RDPULL_VERIFIED_BY',
  /** The checksum file that lists it. */
  manifestUrl: 'RDPULL_MANIFEST_URL',
  /** Who signed that: the fingerprint of the key or certificate. */
  signedBy: 'RDPULL_SIGNED_BY',
  /** Blocks of an image, and bytes, that were read before all of it was there. */
  blocksOnDemand: 'RDPULL_BLOCKS_ON_DEMAND',
  bytesOnDemand: 'RDPULL_BYTES_ON_DEMAND',
  /** Of the bytes as served, those that came out of the cache of this machine, and the file there. */
  reused: 'RDPULL_BYTES_REUSED',
  cachedImage: 'RDPULL_CACHED_IMAGE',
  /** The loop device. */
  loop: 'RDPULL_LOOP',
  /** The device of the root file system, where a link to it was asked for. */
  root: 'RDPULL_ROOT',
  /** Where the tree is mounted. */
  mount: 'RDPULL_MOUNT',
  /** A code of rdpull-errors(7). */
  error: 'RDPULL_ERROR',
  exitStatus: 'RDPULL_EXIT_STATUS',
  /** What to try. */
  hint: 'RDPULL_HINT',
  /** Where in rdpull the error comes from, for a report. */
  cause: 'RDPULL_CAUSE',
  /** The signal that ended a command. */
  signal: 'RDPULL_SIGNAL',
  /** What the clock had said before it was set to the time of the build: seconds since 1970. */
  clock: 'RDPULL_CLOCK',
} as const;

export type JournalField = keyof typeof JOURNAL_FIELDS;

const isField = (name: string): name is JournalField => name in JOURNAL_FIELDS;
const FIELD_NAMES: readonly JournalField[] = Object.keys(JOURNAL_FIELDS).filter(isField);

interface EventSpec {
  /** MESSAGE_ID=: made once (systemd-id128 new), the same for ever. */
  readonly id: string;
  /** What an entry of this kind always has. */
  readonly fields: readonly JournalField[];
}

/** What can be looked for in the journal by MESSAGE_ID=. `units/rdpull.catalog` explains each to `journalctl -x`. */
export const JOURNAL_EVENTS = {
  'pull-started': { id: 'dda1992513c243549aa4031066c85bfb', fields: ['url', 'target'] },
  'pull-finished': {
    id: 'b93a8362315d45a9bdca62ee0b52323c',
    fields: ['url', 'target', 'received', 'written', 'milliseconds', 'verifiedBy'],
  },
  'handed-over': {
    id: '754b6b9265f84ab0993411152dda4b04',
    fields: ['url', 'target', 'received', 'written', 'milliseconds', 'blocksOnDemand', 'bytesOnDemand'],
  },
  'image-substituted': { id: '26c20d8d8f184171b667e1a956869843', fields: ['cachedImage'] },
  'image-broken': { id: '6e438ffe559b4a35a7c104d379bcd6b0', fields: ['target', 'error', 'hint'] },
  'server-awaited': { id: '1ec866e12f0946e0a6a95098ab7d6f93', fields: ['milliseconds'] },
  'image-exposed': { id: '19a933b4ba5b4afb956f47d0dac175eb', fields: ['target'] },
  'image-kept': { id: '87c7778f59e3405bb24f7dc8230ab8b3', fields: ['target'] },
  'image-in-memory': { id: 'd47e49cb4a52431196886b63677d9e80', fields: ['target', 'written', 'verifiedBy'] },
  'nothing-to-pull': { id: '615958ba0fb84db5b6b6e92e45c1f354', fields: [] },
  'clock-advanced': { id: 'd788ab46980f4934a7c3dc97c68bddfc', fields: ['clock'] },
  failed: { id: '0a2da8b67dda499ab5c34d735b02403a', fields: ['error', 'exitStatus', 'hint', 'cause'] },
  interrupted: { id: 'db97827733fd407394aef642f8df4bc5', fields: ['signal'] },
} as const satisfies Record<string, EventSpec>;

type EventName = keyof typeof JOURNAL_EVENTS;
type Value = string | number;
/** Fields that an entry may have; one without a value is left out. */
export type JournalSubject = { readonly [Name in JournalField]?: Value | undefined };

/** Something that has a MESSAGE_ID, with the fields that it must have, and any others. */
export type JournalEvent = {
  readonly [Name in EventName]: { readonly event: Name } & {
    readonly [Field in (typeof JOURNAL_EVENTS)[Name]['fields'][number]]: Value;
  } & JournalSubject;
}[EventName];

/** The fields of an entry as the journal has them. */
export function eventFields({ event, ...fields }: JournalEvent): ReadonlyMap<string, string> {
  return new Map([['MESSAGE_ID', JOURNAL_EVENTS[event].id], ...subjectFields(fields)]);
}

/** As {@link eventFields}, for what is no event. */
export function subjectFields(subject: JournalSubject): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const name of FIELD_NAMES) {
    const value = subject[name];
    if (value !== undefined) fields.set(JOURNAL_FIELDS[name], String(value));
  }
  return fields;
}
