/** Which keys type which characters on a US keyboard. */
import { UsageError } from "./errors.ts";
import { type Key, KEYS } from "./keys.ts";
import { printable } from "./text.ts";

/** The keys of one character. */
export interface Stroke {
  readonly key: Key;
  /** Whether Shift is held. */
  readonly shift: boolean;
  /** Whether Caps Lock stands in for Shift: it is a letter. */
  readonly isLetter: boolean;
}

/** Rows of the keyboard: what the keys type, what they type with Shift, and which keys they are. */
const ROWS: readonly (readonly [plain: string, shifted: string, keys: string])[] = [
  ["`1234567890-=", "~!@#$%^&*()_+", "grave_accent 1 2 3 4 5 6 7 8 9 0 minus equal"],
  ["qwertyuiop[]\\", "QWERTYUIOP{}|", "q w e r t y u i o p bracket_left bracket_right backslash"],
  ["asdfghjkl;'", 'ASDFGHJKL:"', "a s d f g h j k l semicolon apostrophe"],
  ["zxcvbnm,./", "ZXCVBNM<>?", "z x c v b n m comma dot slash"],
  [" \t\b\x7f\x1b\n\r", "", "spc tab backspace backspace esc ret ret"],
];

const STROKES: ReadonlyMap<string, Stroke> = new Map(
  ROWS.flatMap(([plain, shifted, names]) => {
    const keys = names.split(" ").map((name) => KEYS.get(name)!);
    return [plain, shifted].flatMap((characters, shift) =>
      [...characters].map((character, i): [string, Stroke] => [
        character,
        { key: keys[i]!, shift: shift === 1, isLetter: /[a-z]/i.test(character) },
      ])
    );
  }),
);

/**
 * Returns the strokes that type `text` on a US keyboard, one a character: printable ASCII, and Tab,
 * Backspace, Escape and line ends (LF, CR, or CR LF as one) as the keys of these names.
 *
 * @throws {UsageError} when a character is on no key; it names the character and its position.
 */
export function strokesOf(text: string): Stroke[] {
  const characters = [...text.replaceAll("\r\n", "\n")];
  return characters.map((character, i) => {
    const stroke = STROKES.get(character);
    if (stroke !== undefined) return stroke;
    const code = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
    throw new UsageError(
      `Cannot type this text: character ${i + 1} is "${printable(character)}" (U+${code}), ` +
        `expected one that a US keyboard has`,
      {
        hint: "Printable ASCII, tabs and line ends can be typed; other keys can be pressed by name",
      },
    );
  });
}
