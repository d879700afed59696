import type { KeptMemory } from './kept-memory.ts';
import type { OpenDirectories } from './open-directories.ts';
import type { PostponedAttributes } from './postponed-attributes.ts';
import type { TarLimits } from './tar-limits.ts';

/** The parts of an extractor, for a {@link TreeBelow} to work with. */
export interface TreeParts {
  /** The target directory's descriptor. */
  readonly root: number;
  readonly directories: OpenDirectories;
  readonly postponed: PostponedAttributes;
  readonly limits: TarLimits;
  readonly kept: KeptMemory;
}
