/** By what a registry lets a client show who it is. */
export type Challenge =
  | { readonly scheme: 'basic' }
  /** A token is to be had at `realm` (RFC 6750, and the CNCF distribution project's "Token Authentication Specification"). */
  | {
      readonly scheme: 'bearer';
      readonly realm: string;
      readonly service: string | undefined;
      readonly scope: string | undefined;
    };

/** A scheme and its first parameter, or a parameter alone: values are tokens or quoted (RFC 9110, section 11.2). */
const PARAMETER =
  /\s*(?:,\s*)*(?:([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s+)?([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))/y;

/** Longer ones are nobody's, in characters. */
const LONGEST = 8192;

/** Reads the values of `WWW-Authenticate`. What is of another scheme, or makes no sense, is left out. */
export function parseChallenges(values: readonly string[]): Challenge[] {
  return values.flatMap((value) => {
    if (value.length > LONGEST) return [];
    // Basic needs no parameter, whatever RFC 7617 says of its realm.
    if (/^\s*basic\s*$/i.test(value)) return [{ scheme: 'basic' }];
    return schemesIn(value).flatMap(({ scheme, parameters }): Challenge[] => {
      if (scheme === 'basic') return [{ scheme }];
      const realm = parameters.get('realm');
      if (scheme !== 'bearer' || realm === undefined) return [];
      return [{ scheme, realm, service: parameters.get('service'), scope: parameters.get('scope') }];
    });
  });
}

function schemesIn(value: string) {
  const found: { readonly scheme: string; readonly parameters: Map<string, string> }[] = [];
  const next = new RegExp(PARAMETER);
  for (let match = next.exec(value); match !== null; match = next.exec(value)) {
    const [, scheme, name = '', quoted, token = ''] = match;
    if (scheme !== undefined) found.push({ scheme: scheme.toLowerCase(), parameters: new Map() });
    found.at(-1)?.parameters.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? token);
  }
  return found;
}
