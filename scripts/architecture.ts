/** What is built for which architecture, and where it lies. */

/** Debian's names of the architectures that rdpull is built for. */
export const ARCHITECTURES = ['amd64', 'arm64'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

/** That of this machine. */
export const NATIVE: Architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** What is built for an architecture, by paths from the checkout. */
export interface Build {
  readonly architecture: Architecture;
  /** For this machine it is `dist`, for another one a directory in it. */
  readonly directory: string;
  readonly executable: string;
  readonly libraries: string;
  /** Bun's own executable, which the program is appended to. */
  readonly runtime: string;
  /** Bun's name of the architecture. */
  readonly target: 'bun-linux-x64' | 'bun-linux-arm64';
}

/** @throws Error for an architecture that rdpull is not built for */
export function buildFor(architecture: string = NATIVE): Build {
  const known = ARCHITECTURES.find((each) => each === architecture);
  if (known === undefined) {
    throw new Error(`rdpull is built for ${ARCHITECTURES.join(' and ')}, and not for ${architecture}`);
  }
  const directory = known === NATIVE ? 'dist' : `dist/${known}`;
  return {
    architecture: known,
    directory,
    executable: `${directory}/rdpull`,
    libraries: `${directory}/libraries`,
    runtime: known === NATIVE ? 'node_modules/bun/bin/bun.exe' : `${directory}/runtime/bin/bun`,
    target: known === 'arm64' ? 'bun-linux-arm64' : 'bun-linux-x64',
  };
}
