import { printable } from './printable.ts';
import {
  FILE_PLACEHOLDER,
  LOGIN_PLACEHOLDER,
  PARAMETER_PLACEHOLDER,
  replaceSecrets,
  secretParts,
} from './secret-parts.ts';

/** What is shown in place of a secret: a login that is clearly one is left out, as if it had not been there. */
const SHOWN = { login: '', 'unclear login': '…@', parameter: '…', file: '…' } as const;

/** What somebody has to replace who wants to use a URL again. */
const PLACEHOLDERS = {
  login: `${LOGIN_PLACEHOLDER}@`,
  'unclear login': `${LOGIN_PLACEHOLDER}@`,
  parameter: PARAMETER_PLACEHOLDER,
  file: FILE_PLACEHOLDER,
} as const;

/** Options whose value means something else than a word of its own: a URL without a scheme, or a file with a secret. */
const PROXY_OPTION = '--proxy';
const SPECIAL_OPTIONS: readonly string[] = [PROXY_OPTION, '--bearer', '--login', '--passphrase'];

/**
 * What may be shown of `text`, which somebody typed, a server sent, or a file holds: a URL, an expression, or another word. The
 * one rule for everything that is printed, recorded or sent to other programs.
 */
export function withoutSecrets(text: string): string {
  return replaceSecrets(text, SHOWN);
}

/** `url` as it may appear on a screen or in a log: {@link withoutSecrets}, and without control characters. */
export function shownUrl(url: string): string {
  return printable(withoutSecrets(url));
}

/** {@link shownUrl} in double quotes: for what is a URL, or may hold one. */
export function quotedUrl(text: string): string {
  return `"${shownUrl(text)}"`;
}

/**
 * Sentences of which any word may be a URL, {@link withoutSecrets}. Whatever leaves this program goes through here, too, so that
 * nobody depends on everybody having thought of it.
 */
export function discreet(message: string): string {
  return /[@=]/.test(message)
    ? message.replace(/\S+/g, (word) => (/[@=]/.test(word) ? withoutSecrets(word) : word))
    : message;
}

/** For `JSON.stringify`: all strings {@link discreet}. */
export function discreetValue(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? discreet(value) : value;
}

/** The URL of a proxy, which needs no scheme, as it may be shown. */
export function shownProxy(text: string): string {
  const prefix = `${PROXY_OPTION}=`;
  return printable(withoutSecrets(prefix + text).slice(prefix.length));
}

/** The words of a command line, with placeholders for the secrets. What has placeholders already stays as it is. */
export function commandWithPlaceholders(words: readonly string[]): string[] {
  return words.map((word, index) => {
    const option = SPECIAL_OPTIONS.find((each) => each === words[index - 1]);
    const prefix = option === undefined ? '' : `${option}=`;
    return replaceSecrets(prefix + word, PLACEHOLDERS).slice(prefix.length);
  });
}

/** What of {@link commandWithPlaceholders} has to be replaced before it works. */
export function placeholdersToFill(words: readonly string[]): string[] {
  const has = (text: RegExp) => words.some((word) => text.test(word));
  return [
    ...(has(new RegExp(`${LOGIN_PLACEHOLDER}@`)) ? [LOGIN_PLACEHOLDER] : []),
    ...(has(new RegExp(`=${PARAMETER_PLACEHOLDER}`)) ? [PARAMETER_PLACEHOLDER] : []),
    ...(has(new RegExp(`^(?:--\\w+=)?${FILE_PLACEHOLDER}$`)) ? [FILE_PLACEHOLDER] : []),
  ];
}

/** Shorter ones could be any part of a message, and protect nothing. */
const PASSWORD_MIN = 3;

/** `message`, which may repeat parts of `text`, without the secrets in `text`, be they torn apart at commas or colons. */
export function withoutPasswords(message: string, text: string): string {
  const pieces = secretParts(text).flatMap(({ kind, start, end }) => {
    const words = text.slice(start, end).split(/[:\\,/?#@]+/);
    return kind === 'parameter' ? words : words.slice(1);
  });
  return pieces
    .filter((piece) => piece.length >= PASSWORD_MIN)
    .reduce((shown, piece) => shown.replaceAll(piece, '…'), message);
}
