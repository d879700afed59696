import { printable } from '../console/printable.ts';
import { size } from '../console/quantity.ts';
import type { Entry } from './served-directory.ts';

/** A list of what a directory serves, for a browser. */
export function directoryPage(names: readonly string[], entries: readonly Entry[]): string {
  const title = escaped(`/${names.map((name) => `${name}/`).join('')}`);
  const rows = entries.map(({ name, kind, state }) => {
    const slash = kind === 'directory' ? '/' : '';
    const about =
      kind === 'directory'
        ? ''
        : `${size(state.size)}  ${new Date(Number(state.modified / 1_000_000n)).toISOString()}`;
    return `<tr><td><a href="./${encodeURIComponent(name)}${slash}">${escaped(name)}${slash}</a></td><td>${about}</td></tr>\n`;
  });
  return `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>${title}</title></head>
<body>
<h1>${title}</h1>
<table>
${rows.join('')}</table>
</body>
</html>
`;
}

function escaped(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
