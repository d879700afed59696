import { printable } from './printable.ts';

/** The value of this option needs no scheme to be a URL. */
const PROXY_OPTION = '--proxy';

/**
 * A login, wherever it stands in a text, its colon escaped or not, also where the scheme is misspelt. As the URL
 * Standard reads it (section 4.4): the last `@` before the path ends it, and slashes before it may be any, also
 * backslashes.
 */
const LOGIN = /((?:https?\\?:|:[/\\]|^[/\\]{2}|^--proxy=)[/\\]*)([^/?#]*)@/gi;

/**
 * What makes a URL a credential by itself, as redirects of object stores do: AWS Signature Version 4, Google Cloud Storage,
 * shared access signatures of Azure, CloudFront, and what others call the same.
 */
const SECRET_PARAMETER =
  /([?&](?:x-(?:amz|goog)-(?:signature|credential|security-token)|sig|signature|token|access_token)=)(?:[^&#\s:]|:(?=\S))*/gi;

/** Of a longer text no more is shown anyway, and looking for logins takes the square of its length. */
const LOOKED_AT = 4096;

/** `url` as it may appear on a screen or in a log: without a login, a signature, and control characters. */
export function shownUrl(url: string): string {
  return printable(url.slice(0, LOOKED_AT).replaceAll(LOGIN, '$1').replaceAll(SECRET_PARAMETER, '$1…'));
}

/** `text` without the logins in it, but otherwise as it is; undefined when it is too long to look for them. */
export function withoutLogins(text: string): string | undefined {
  return text.length > LOOKED_AT ? undefined : text.replaceAll(LOGIN, '$1');
}

/** The words of a command line, each {@link withoutLogins}. */
export function commandWithoutLogins(words: readonly string[]): (string | undefined)[] {
  return words.map((word, index) => {
    if (words[index - 1] !== PROXY_OPTION) return withoutLogins(word);
    const prefix = `${PROXY_OPTION}=`;
    return withoutLogins(prefix + word)?.slice(prefix.length);
  });
}

/** {@link shownUrl} in double quotes: for what is a URL, or may hold one. */
export function quotedUrl(text: string): string {
  return `"${shownUrl(text)}"`;
}

/** Shorter ones could be any part of a message, and protect nothing. */
const PASSWORD_MIN = 3;

/** `message`, which may repeat parts of `text`, without the passwords in `text`, be they torn apart at commas or colons. */
export function withoutPasswords(message: string, text: string): string {
  const pieces = [...text.slice(0, LOOKED_AT).matchAll(LOGIN)].flatMap(([, , login = '']) =>
    login.split(/[:\\,]+/).slice(1),
  );
  return pieces
    .filter((piece) => piece.length >= PASSWORD_MIN)
    .reduce((shown, piece) => shown.replaceAll(piece, '…'), message);
}
