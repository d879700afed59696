import type { IncomingMessage } from 'node:http';
import style from './page/page.css' with { type: 'text' };
import script from './page/page.js' with { type: 'text' };

/** A part of the page. */
export interface PagePart {
  readonly type: string;
  readonly text: string;
}

/**
 * What the page may do: its own script, its own style, and a connection to where it came from. Nothing that a machine or a file is
 * called could become a script, if it ever got into the page as one (Content Security Policy Level 3).
 */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    'img-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
};

const columns = ['Machine', 'Image', 'Stage', 'Progress', 'Verified by', 'Since'];

/** What is in the page before the first event: the roles are said where the style of a narrow screen would take them away. */
const HTML = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>rdpull serve</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/.rdpull/page.css">
<script type="module" src="/.rdpull/page.js"></script>
</head>
<body>
<a class="skip" href="#main">To the machines</a>
<header>
<h1>rdpull serve</h1>
<p><span id="directory"></span> – <span id="state" role="status">connecting</span></p>
</header>
<main id="main" tabindex="-1">
<h2 id="machines-title">Machines</h2>
<p id="heard" class="heard" aria-live="polite"></p>
<p id="summary" class="quiet"></p>
<p id="none">No machine has been heard of yet. Each that boots from here has a row as soon as its firmware asks, or it reports.</p>
<table id="machines" role="table" aria-labelledby="machines-title" hidden>
<thead role="rowgroup"><tr role="row">${columns.map((each) => `<th role="columnheader" scope="col">${each}</th>`).join('')}</tr></thead>
<tbody id="rows" role="rowgroup"></tbody>
</table>
<h2>What is served</h2>
<ul id="urls" aria-label="Where it is served"></ul>
<p id="signed" class="quiet"></p>
<div id="ukis"></div>
<h3 id="files-title">Files</h3>
<div class="scroll">
<table aria-labelledby="files-title">
<thead><tr><th scope="col">Name</th><th scope="col">Size</th><th scope="col">Modified</th></tr></thead>
<tbody id="files"></tbody>
</table>
</div>
<p id="more" class="quiet"></p>
<p><a href="/?files">The plain list</a>, as tools get it</p>
</main>
<noscript><p>This page needs its script to show machines. <a href="/?files">The plain list of files</a> needs none.</p></noscript>
</body>
</html>
`;

/** By their paths. */
const PARTS: ReadonlyMap<string, PagePart> = new Map([
  ['/.rdpull/page.css', { type: 'text/css; charset=utf-8', text: style }],
  ['/.rdpull/page.js', { type: 'text/javascript; charset=utf-8', text: script }],
]);

/**
 * The part of the page that a request is for: at `/` the page itself, for a browser. Who does not ask for HTML by its name, and
 * whoever asks for `/?files`, gets the list.
 */
export function pagePart({ url = '', headers }: IncomingMessage): PagePart | undefined {
  if (url === '/' && /\btext\/html\b/.test(headers.accept ?? '')) {
    return { type: 'text/html; charset=utf-8', text: HTML };
  }
  return PARTS.get(url);
}
