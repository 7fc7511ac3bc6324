/** News of which each is told once, though whoever sends it may never stop. */

/** The most different texts: a server can make up as many as it likes. */
const MAX_TEXTS = 50;

/** Returns what tells each text to `tell` once, the first {@linkcode MAX_TEXTS} of them. */
export function toldOnce(tell: (text: string) => void): (text: string) => void {
  const told = new Set<string>();
  return (text) => {
    if (told.has(text) || told.size > MAX_TEXTS) return;
    told.add(text);
    tell(told.size > MAX_TEXTS ? "there is more of this, which is not told any longer" : text);
  };
}
