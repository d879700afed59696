import type { Sink, SinkResult } from './sink.ts';
import { TarExtractor } from './tar/tar-extractor.ts';
import { TarReader } from './tar/tar-reader.ts';

export interface DirectoryTreeOptions {
  /** Called when something is lost that the tree can do without: an extended attribute, an unknown kind of file. */
  readonly warn?: (message: string) => void;
  /** An archive of more members is refused. */
  readonly maxMembers?: number;
}

const DEFAULT_MAX_MEMBERS = 10_000_000;

/**
 * A sink that unpacks a tar archive. Must run as root.
 *
 * @param path an existing, empty directory. It takes the attributes of the archive's own `./`, if there is one.
 */
export function openDirectoryTreeSink(path: string, options: DirectoryTreeOptions = {}): Sink {
  const { warn = () => undefined, maxMembers = DEFAULT_MAX_MEMBERS } = options;
  const extractor = new TarExtractor(path, { warn, maxMembers });
  const reader = new TarReader(extractor, warn);

  function explained<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw extractor.explain(error);
    }
  }

  return {
    write: (chunk: Uint8Array): void => explained(() => reader.write(chunk)),
    finish: (): SinkResult =>
      explained(() => {
        reader.finish();
        extractor.finish();
        return { bytes: reader.bytes, entries: extractor.members };
      }),
    close: (): void => extractor.close(),
  };
}
