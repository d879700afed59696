import manifest from '../package.json' with { type: 'json' };

/** The version of rdpull, from package.json. */
export const version: string = manifest.version;
