import type { Placeholder } from '../request/placeholder.ts';
import type { PullRequest, Remote } from '../request/pull-request.ts';
import type { Location, SourceOptions } from '../source/source.ts';
import type { Subject } from './subject.ts';

/** What a check is made with. */
export interface BootCheck {
  readonly subject: Subject;
  /** Where the machine will have been booted from, as far as a request asks for that; undefined when nobody says so. */
  bootUrlFor(remote: Remote): string | undefined;
  /** RAM of the machine that will boot, in bytes. */
  readonly ram: number;
  readonly isOwnRam: boolean;
  /** Named on the command line, in place of what the boot would use. */
  readonly keyrings: readonly string[];
  readonly certificates: readonly string[];
  /** Where the cache of the machine that boots is on this one; undefined where nobody has said so. */
  readonly cache: string | undefined;
  /** How servers are asked: once. */
  readonly access: SourceOptions;
  /**
   * Finds the places that a request means, asking the server where it has to.
   *
   * @param known what stands for placeholders on the machine that boots, as far as that is known
   */
  locate(
    request: PullRequest,
    access: SourceOptions,
    known: ReadonlyMap<Placeholder, string>,
  ): Promise<readonly Location[]>;
  /**
   * Finds where the chunks of an image lie, whose index lies at `locations`.
   *
   * @param known as for {@link locate}
   */
  findStores(
    request: PullRequest,
    locations: readonly Location[],
    access: SourceOptions,
    known: ReadonlyMap<Placeholder, string>,
  ): Promise<readonly Location[]>;
  /** A URL, and what its server is shown. */
  identify(url: string): Promise<Location>;
  /** Takes lines for `--verbose`. */
  detail(text: string): void;
}
