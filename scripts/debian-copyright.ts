/** What Debian says about the licence of a package. */

/**
 * The licence of a library by the copyright file of its Debian package: what the paragraph for all files names
 * (`Files: *`, https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/). Other paragraphs are about build scripts,
 * translations and examples, none of which is in the library.
 *
 * @throws Error when it has no such paragraph
 */
export function licenceOfAllFiles(copyright: string): string {
  for (const paragraph of copyright.split(/\n\s*\n/)) {
    const [, licence] = /^Files: \*$[\s\S]*^License: (.+)$/m.exec(paragraph) ?? [];
    if (licence !== undefined) return licence.trim();
  }
  throw new Error('there is no "Files: *" with a "License:"');
}
