import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { commandForShell, quoteForShell, splitWords } from "../../lib/base/words.ts";

const SPLITS: [text: string, words: string[]][] = [
  [`-append "root=/dev/ram0 ro"`, ["-append", "root=/dev/ram0 ro"]],
  [`-rtc base="2000-10-01",clock=vm`, ["-rtc", `base="2000-10-01",clock=vm`]],
  [`-device foo,x="a b" -S`, ["-device", `foo,x="a b"`, "-S"]],
  [`"a""b"`, [`a""b`]],
  [`a "b c`, ["a", "b", "c"]],
  [`""`, [""]],
  [`"`, []],
  ["", []],
  [" \t\n", []],
  [`a'b\\ c`, ["a'b\\", "c"]],
  [`"a\nb" c`, ["a\nb", "c"]],
  [`x"1""2"y z`, [`x"1""2"y`, "z"]],
];

for (const [text, words] of SPLITS) {
  Deno.test(`splitWords takes ${JSON.stringify(text)} apart as UTM does`, () => {
    assertEquals(splitWords(text), words);
  });
}

Deno.test("splitWords finds what was joined with quotes around each word", () => {
  const word = fc.string().filter((text) => !text.includes('"'));
  fc.assert(fc.property(fc.array(word), (words) => {
    assertEquals(splitWords(words.map((text) => `"${text}"`).join(" ")), words);
  }));
});

Deno.test("splitWords takes time in proportion to its text", () => {
  const start = performance.now();
  splitWords('a"b"'.repeat(50_000) + '"');
  splitWords("a".repeat(200_000) + '"');
  assertEquals(performance.now() - start < 2000, true);
});

Deno.test("quoteForShell leaves plain words alone and quotes the rest", () => {
  const cases: [string, string][] = [
    ["-device", "-device"],
    ["virtio-net-pci,netdev=net0", "virtio-net-pci,netdev=net0"],
    ["", "''"],
    ["a b", "'a b'"],
    ["it's", `'it'\\''s'`],
    ["$HOME", "'$HOME'"],
    ["~/x", "'~/x'"],
    ["=x", "'=x'"],
    ["if=none", "if=none"],
    ["ä", "'ä'"],
    ["a\nb", "'a\nb'"],
  ];
  for (const [word, expected] of cases) assertEquals(quoteForShell(word), expected);
});

Deno.test("commandForShell joins words with spaces", () => {
  assertEquals(commandForShell(["/bin/echo", "a b", "c=d"]), "/bin/echo 'a b' c=d");
  assertEquals(commandForShell(["a=b", "a=b"]), "'a=b' a=b");
});
