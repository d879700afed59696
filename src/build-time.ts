/** Seconds since 1970, put in by scripts/compile.ts; does not exist when the source is run as it is. */
declare const RDPULL_BUILD_TIME: number;

/**
 * When this executable was made: no clock that is right says an earlier time. undefined when it is not an executable.
 */
export const buildTime: Date | undefined =
  typeof RDPULL_BUILD_TIME === 'undefined' ? undefined : new Date(RDPULL_BUILD_TIME * 1000);
