import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { UsageError } from "../../lib/base/errors.ts";
import { keyNamed, KEYS, parseChord } from "../../lib/base/keys.ts";

const names = (chord: string) => parseChord(chord).map(({ name }) => name).join(" ");

const CHORDS: readonly (readonly [chord: string, keys: string])[] = [
  ["ctrl-alt-f2", "ctrl alt f2"],
  ["ctrl+alt+del", "ctrl alt delete"],
  ["Ctrl-C", "ctrl c"],
  ["ret", "ret"],
  ["ENTER", "ret"],
  ["escape", "esc"],
  ["meta_l", "meta_l"],
  ["super-l", "meta_l l"],
  ["win", "meta_l"],
  ["altgr-e", "alt_r e"],
  ["pause", "pause"],
  ["print", "print"],
  ["alt-sysrq-b", "alt sysrq b"],
  ["pageup", "pgup"],
  ["PageDown", "pgdn"],
  ["capslock", "caps_lock"],
  ["-", "minus"],
  ["ctrl--", "ctrl minus"],
  ["ctrl-minus", "ctrl minus"],
  ["shift-;", "shift semicolon"],
  ["kp_7", "kp_7"],
  ["0", "0"],
];

for (const [chord, keys] of CHORDS) {
  Deno.test(`parseChord takes ${chord} as ${keys}`, () => assertEquals(names(chord), keys));
}

for (const chord of ["", "ctrl-", "ctrl--a-", "+", "a-+b"]) {
  Deno.test(`parseChord refuses ${JSON.stringify(chord)}, in which a key is missing`, () => {
    assertThrows(() => parseChord(chord), UsageError, "a key is missing");
  });
}

Deno.test("parseChord refuses a key that is there twice, by whatever name", () => {
  assertThrows(() => parseChord("ctrl-control-a"), UsageError, "the key ctrl is there twice");
});

Deno.test("keyNamed names the nearest key", () => {
  const nearest: [name: string, near: string][] = [
    ["crtl", "ctrl"],
    ["f25", "f2"],
    ["eskape", "esc"],
    ["kp_entr", "kp_enter"],
    ["scrol_lok", "scroll_lock"],
  ];
  for (const [name, near] of nearest) {
    const error = assertThrows(() => keyNamed(name), UsageError, `"${name}"`);
    assertStringIncludes(error.hint ?? "", near);
    assertEquals(error.exitCode, 2);
  }
  const error = assertThrows(() => keyNamed("\x1bnothing of the sort"), UsageError);
  assert(!error.message.includes("\x1b"));
  assertStringIncludes(error.hint ?? "", "QEMU's names");
});

Deno.test("keyNamed finds every key by its QKeyCode, in any case, without underscores", () => {
  for (const [name, key] of KEYS) {
    assertEquals(keyNamed(name), key);
    assertEquals(keyNamed(name.toUpperCase()), key);
    assertEquals(keyNamed(name.replaceAll("_", "")), key);
    assertEquals(parseChord(name), [key]);
  }
});

Deno.test("KEYS: a chord of keys in any order is read back", () => {
  const some = fc.uniqueArray(fc.constantFrom(...KEYS.values()), { minLength: 1, maxLength: 6 });
  fc.assert(fc.property(some, fc.constantFrom("-", "+"), (keys, separator) => {
    assertEquals(parseChord(keys.map(({ name }) => name).join(separator)), keys);
  }));
});

Deno.test("KEYS: scancodes are well-formed, and only the keypad's asterisk has two names", () => {
  const seen = new Map<string, string>();
  for (const { name, down, up } of KEYS.values()) {
    const code = down.map((byte) => byte.toString(16)).join(" ");
    if (name !== "asterisk") assertEquals(seen.get(code), undefined, `${name}: ${code}`);
    seen.set(code, name);
    assertEquals(down.length, up.length);
    assert(down.length === 1 || (down.length === 2 && down[0] === 0xe0 && up[0] === 0xe0), name);
    assertEquals(up.at(-1)! & 0x7f, down.at(-1));
    assert(down.at(-1)! >= 1 && down.at(-1)! < 0x80, name);
  }
  assertEquals(KEYS.get("kp_multiply")?.down, KEYS.get("asterisk")?.down);
});
