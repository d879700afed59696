import { boundLines } from '../../console/bounded-lines.ts';
import type { SinkResult, SynchronousSink } from '../../decode/sink.ts';
import { KeptMemory } from './tar/kept-memory.ts';
import { TarExtractor, type TarExtractorOptions } from './tar/tar-extractor.ts';
import { DEFAULT_TAR_LIMITS, type TarLimits } from './tar/tar-limits.ts';
import { TarReader, type TarReaderOptions } from './tar/tar-reader.ts';

/** Warnings of one archive: a few MiB of it can hold millions of members, each with something to be said of it. */
const WARNINGS_MAX = 10;

export interface DirectoryTreeOptions {
  /** Called when something is lost that the tree can do without: an extended attribute, an unknown kind of file. */
  readonly warn?: (message: string) => void;
  /** What the archive may ask for; those of {@link DEFAULT_TAR_LIMITS} unless given. */
  readonly limits?: TarLimits;
  /** Whether a digest says which bytes the archive is (as served): it need not prove itself that nothing of it is missing. */
  readonly isVouchedFor?: boolean;
}

/**
 * A sink that unpacks a tar archive: see {@link TarReader} for the dialects and {@link TarExtractor} for what becomes
 * of the members. Must run as root.
 *
 * Owners are numeric, for names mean nothing in an initrd. Refused (`limit-exceeded`) are archives that go beyond
 * `limits`, and all that memory depends on: PAX headers above 1 MiB, sparse files of more than a million pieces, and what has
 * to be kept till the end when it takes more than 60 MiB: the attributes of directories (some 190,000), ACLs with names.
 *
 * @param path an existing, empty directory. It takes the attributes of the archive's own `.`, if there is one.
 */
export function openDirectoryTreeSink(path: string, options: DirectoryTreeOptions = {}): SynchronousSink {
  return openTreeSink(path, options, { isLast: true });
}

/** Where an archive stands among those that make one tree. */
export interface AmongArchives
  extends Pick<TarExtractorOptions, 'below' | 'membersBelow'>,
    Pick<TarReaderOptions, 'mayLackPadding'> {
  /** Whether no other follows: what was written goes to the disk then. */
  readonly isLast: boolean;
}

export interface TreeResult extends SinkResult {
  /** Directories that were made because they are on the way to a member, and none themselves. */
  readonly made: number;
}

export interface TreeSink extends SynchronousSink {
  finish(): TreeResult;
}

/** As {@link openDirectoryTreeSink}, for an archive that is one of several. */
export function openTreeSink(
  path: string,
  options: DirectoryTreeOptions,
  { isLast, mayLackPadding = false, ...among }: AmongArchives,
): TreeSink {
  const { warn: tell = () => undefined, limits = DEFAULT_TAR_LIMITS, isVouchedFor = false } = options;
  const warnings = boundLines(WARNINGS_MAX, tell, (count) => `and ${count} more about the tar archive`);
  const warn = warnings.add;
  const kept = new KeptMemory();
  const extractor = new TarExtractor(path, { warn, limits, kept, ...among });
  const reader = new TarReader(extractor, { warn, limits, kept, isVouchedFor, mayLackPadding });

  function explained<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw extractor.explain(error);
    }
  }

  return {
    write: (chunk) => explained(() => void reader.write(chunk)),
    finish: () =>
      explained(() => {
        reader.finish();
        extractor.finish();
        if (isLast) extractor.sync();
        warnings.end();
        return { bytes: reader.bytes, entries: extractor.members, made: extractor.made };
      }),
    close() {
      warnings.end();
      extractor.close();
    },
  };
}
