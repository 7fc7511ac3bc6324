/** Text from files, guests and servers, made safe to show on a terminal. */

/**
 * Returns `text` without control characters (C0, C1, DEL), cut to `maxLength` characters: it can be
 * printed on a terminal or in a log without changing either.
 */
export function printable(text: string, maxLength = 4096): string {
  // deno-lint-ignore no-control-regex
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, "\ufffd");
  return clean.length > maxLength ? `${clean.slice(0, maxLength)}…` : clean;
}

/** Returns `text` in double quotes, safe to show: for values inside messages. */
export function quoted(text: string, maxLength = 200): string {
  return `"${printable(text, maxLength)}"`;
}

/** Returns the entry of `known` nearest to `word`, if it is near enough to be a slip of the keyboard. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  // Two slips in "foo" would make it anything: a short word has fewer.
  const slips = Math.max(Math.min(2, word.length >> 1), Math.floor(word.length / 3));
  let bestDistance = slips + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** The Levenshtein distance of two short texts; two neighbours that change places count as one. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      next.push(Math.min(
        isSwap ? (before[j - 2] ?? 0) + 1 : Infinity,
        (row[j] ?? 0) + 1,
        (next[j - 1] ?? 0) + 1,
        (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
      ));
    }
    [before, row] = [row, next];
  }
  return row[b.length] ?? 0;
}
