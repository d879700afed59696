/** What a version is made of, beside letters and digits: UAPI.10, "Version Format Specification". All else is passed over. */
const INVALID = /^[^A-Za-z0-9.~^-]+/;

/** Separators, and what each says of the version that has it where the other has something else: it is the older one. */
const BEFORE_THE_END: readonly string[] = ['~'];
const AFTER_THE_END: readonly string[] = ['-', '^', '.'];

/**
 * Compares versions as UAPI.10 has it, and systemd with it (strverscmp_improved() of string-util.c, `systemd-analyze
 * compare-versions`): negative when `one` is older, positive when it is newer, 0 when neither is.
 */
export function compareVersions(one: string, other: string): number {
  let [a, b] = [one, other];
  for (;;) {
    [a, b] = [a.replace(INVALID, ''), b.replace(INVALID, '')];
    for (const separators of [BEFORE_THE_END, AFTER_THE_END]) {
      for (const separator of separators) {
        const [hasA, hasB] = [a.startsWith(separator), b.startsWith(separator)];
        if (hasA !== hasB) return hasA ? -1 : 1;
        if (hasA) [a, b] = [a.slice(1), b.slice(1)];
      }
      // But for what is marked as a forerunner, the longer one is newer.
      if (a === '' || b === '') return Math.sign(a.length - b.length);
    }
    const isNumber = /^[0-9]/.test(a) || /^[0-9]/.test(b);
    const pattern = isNumber ? /^[0-9]*/ : /^[A-Za-z]*/;
    const [partA = '', partB = ''] = [pattern.exec(a)?.[0], pattern.exec(b)?.[0]];
    const order = isNumber ? compareNumbers(partA, partB) : compareWords(partA, partB);
    if (order !== 0) return order;
    [a, b] = [a.slice(partA.length), b.slice(partB.length)];
  }
}

/** Of any length, and with zeros before them. Nothing is older than a number. */
function compareNumbers(one: string, other: string): number {
  if (one === '' || other === '') return Math.sign(one.length - other.length);
  const [a, b] = [one.replace(/^0+/, ''), other.replace(/^0+/, '')];
  return Math.sign(a.length - b.length) || compareWords(a, b);
}

/** By their octets, capitals first. */
function compareWords(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
