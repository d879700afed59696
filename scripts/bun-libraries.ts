/** What Bun is made of, by the page about its licence that its types bring along. */

/** A library that is linked into Bun. */
export interface LinkedLibrary {
  readonly name: string;
  readonly website: string;
  /** In the words of the page. */
  readonly licence: string;
}

/**
 * JavaScriptCore, and the libraries of the page's table that are in Bun for Linux. Its second table, stand-ins for `node:*` in browsers, is
 * about what is left out of rdpull (scripts/development-tools.ts).
 *
 * @throws Error when the page has another form
 */
export function linkedLibraries(page: string): LinkedLibrary[] {
  const [, section = ''] = /^## Linked libraries\n([\s\S]*?)(?=^## |$(?![\s\S]))/m.exec(page) ?? [];
  const rows = section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2);
  if (rows.length < 20)
    throw new Error("Bun's page about its licence has no table of linked libraries any more");
  // Of one of these no word says that it is Windows' only, but the name of its file does.
  const ofLinux = rows.filter((row) => !/\(on Windows\)|\/windows\.\w+/.test(row));
  return [engine(page), ...ofLinux.map(linkedLibrary)];
}

function engine(page: string): LinkedLibrary {
  const [, name, licence] =
    /^Bun statically links (JavaScriptCore) .*, which is (\S+) licensed\./m.exec(page) ?? [];
  const [, website] = /version of WebKit lives at (\S+)\. /.exec(page) ?? [];
  if (name === undefined || licence === undefined || website === undefined) {
    throw new Error("Bun's page about its licence does not say that of JavaScriptCore any more");
  }
  return { name, website, licence };
}

function linkedLibrary(row: string): LinkedLibrary {
  const [, name, website, licence] =
    /^\| [^[]*\[`?([^`\]]+)`?\]\(([^)]+)\)[^|]*\| ([^|]+)\|$/.exec(row) ?? [];
  if (name === undefined || website === undefined || licence === undefined) {
    throw new Error(`Bun's page about its licence has a line that is not understood: ${row}`);
  }
  return { name, website, licence: licence.trim().replaceAll(/\[([^\]]+)\]\([^)]+\)/g, '$1') };
}
