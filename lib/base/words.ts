/** Texts that hold several arguments: taking them apart as UTM does, and writing them for a shell. */

/**
 * Splits one string of a user's arguments as UTM does: at white space, except inside `"…"`.
 *
 * Only quotes around a whole word are removed; inner ones stay, since QEMU options may need them.
 * A quote without partner separates words and vanishes. `'` and `\` mean nothing, and there are no
 * variables. The result has the words from left to right; it is empty where there is none.
 */
export function splitWords(text: string): string[] {
  const words = text.match(/(?:[^"\s]*"[^"]*"[^"\s]*)+|[^"\s]+/g) ?? [];
  return words.map((word) =>
    word.length >= 2 && word.startsWith('"') && word.endsWith('"') ? word.slice(1, -1) : word
  );
}

/** Writes an argument so that a POSIX shell reads exactly it: as it is, or in single quotes. */
export function quoteForShell(word: string): string {
  // In front, `=` and `~` would mean something to some shell.
  if (/^[\w@%+:,./-][\w@%+=:,./-]*$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Writes a command, program first, so that a POSIX shell runs exactly it. */
export function commandForShell(words: readonly string[]): string {
  return words.map((word, index) => {
    const text = quoteForShell(word);
    // A program with `=` in its name would be an assignment.
    return index === 0 && text === word && word.includes("=") ? `'${word}'` : text;
  }).join(" ");
}
