import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import { UsageError } from "../../lib/base/errors.ts";
import { type Keyboard, type KeyEvent, pressChords, typeText } from "../../lib/base/keyboard.ts";
import { type Key, KEYS, parseChord } from "../../lib/base/keys.ts";
import { strokesOf } from "../../lib/base/us_layout.ts";

const PRINTABLE = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join("");

/** What a US keyboard shows without and with Shift, written down independently of the table. */
const SHIFTED: Readonly<Record<string, string>> = {
  ...Object.fromEntries([..."abcdefghijklmnopqrstuvwxyz"].map((c) => [c, c.toUpperCase()])),
  ...{ "1": "!", "2": "@", "3": "#", "4": "$", "5": "%", "6": "^", "7": "&", "8": "*" },
  ...{ "9": "(", "0": ")", minus: "_", equal: "+", bracket_left: "{", bracket_right: "}" },
  ...{ backslash: "|", semicolon: ":", apostrophe: '"', grave_accent: "~" },
  ...{ comma: "<", dot: ">", slash: "?" },
};
const PLAIN: Readonly<Record<string, string>> = {
  ...{ minus: "-", equal: "=", bracket_left: "[", bracket_right: "]", backslash: "\\" },
  ...{ semicolon: ";", apostrophe: "'", grave_accent: "`", comma: ",", dot: ".", slash: "/" },
  ...{ spc: " ", ret: "\n", tab: "\t", backspace: "\b", esc: "\x1b" },
};

/** A guest with a US layout: turns key events into text. */
class FakeGuest implements Keyboard {
  text = "";
  capsLock = false;
  readonly log: string[] = [];
  readonly #down = new Set<Key>();

  get held(): string[] {
    return [...this.#down].map(({ name }) => name);
  }

  sendKeys(events: readonly KeyEvent[]): Promise<void> {
    for (const { key, down } of events) {
      this.log.push((down ? "+" : "-") + key.name);
      assertEquals(this.#down.has(key), !down, "a key is pressed once and released once");
      if (!down) {
        this.#down.delete(key);
        continue;
      }
      this.#down.add(key);
      if (key.name === "shift") continue;
      const isLetter = /^[a-z]$/.test(key.name);
      const shift = this.held.includes("shift") !== (isLetter && this.capsLock);
      this.text += (shift ? SHIFTED[key.name] : undefined) ?? PLAIN[key.name] ?? key.name;
    }
    return Promise.resolve();
  }
}

Deno.test("typeText types every printable ASCII character, tabs and line ends", async () => {
  const guest = new FakeGuest();
  await typeText(guest, `${PRINTABLE}\t\n\b\x1b`, { paceMs: 0 });
  assertEquals(guest.text, `${PRINTABLE}\t\n\b\x1b`);
  assertEquals(guest.held, []);
});

Deno.test("typeText types any text of such characters, with Caps Lock on or off", async () => {
  const texts = fc.array(fc.constantFrom(...PRINTABLE, "\n", "\t"), { maxLength: 12 })
    .map((characters) => characters.join(""));
  await fc.assert(
    fc.asyncProperty(texts, fc.boolean(), async (text, capsLock) => {
      const guest = new FakeGuest();
      guest.capsLock = capsLock;
      await typeText(guest, text, { paceMs: 0 });
      assertEquals(guest.text, text);
      assertEquals(guest.held, []);
    }),
    { numRuns: 30 },
  );
});

Deno.test("typeText holds Shift over what needs it", async () => {
  const guest = new FakeGuest();
  await typeText(guest, "aAB!b", { paceMs: 0 });
  assertEquals(
    guest.log.join(" "),
    "+a -a +shift +a -a +b -b +1 -1 -shift +b -b",
  );
});

Deno.test("strokesOf takes CR, LF and CR LF as one Enter each", () => {
  assertEquals(strokesOf("\r\n\n\r").map(({ key }) => key.name), ["ret", "ret", "ret"]);
});

Deno.test("typeText refuses what is on no key, by character and position, and types nothing", async () => {
  const guest = new FakeGuest();
  const refused: [text: string, message: string][] = [
    ["für", 'character 2 is "ü" (U+00FC)'],
    ["🦊", 'character 1 is "🦊" (U+1F98A)'],
    ["a🦊é", 'character 2 is "🦊" (U+1F98A)'],
    ["ab\x03", 'character 3 is "\ufffd" (U+0003)'],
  ];
  for (const [text, message] of refused) {
    const error = await assertRejects(() => typeText(guest, text, { paceMs: 0 }), UsageError);
    assertStringIncludes(error.message, message);
  }
  assertEquals(guest.log, []);
  assertThrows(() => strokesOf("\ud800"), UsageError, "U+D800");
});

Deno.test("typeText gives each event its time", async () => {
  const guest = new FakeGuest();
  const started = performance.now();
  await typeText(guest, "abc", { paceMs: 10 });
  const ms = performance.now() - started;
  assert(ms >= 45, `${ms} ms for six events, the last of which nobody waits for`);
});

Deno.test("typeText releases what is down when it is aborted, and tells why", async () => {
  const guest = new FakeGuest();
  const controller = new AbortController();
  const typing = typeText(guest, "AAAAAAAA", { paceMs: 5, signal: controller.signal });
  await new Promise((resolve) => setTimeout(resolve, 12));
  controller.abort(new Error("enough"));
  await assertRejects(() => typing, Error, "enough");
  assert(guest.log.length > 0 && guest.log.length < 18);
  assertEquals(guest.held, []);
});

Deno.test("typeText tells the first failure of a keyboard that has gone", async () => {
  let calls = 0;
  const keyboard: Keyboard = {
    sendKeys: () => Promise.reject(new Error(calls++ === 0 ? "it has gone" : "it is still gone")),
  };
  await assertRejects(() => typeText(keyboard, "a", { paceMs: 0 }), Error, "it has gone");
  assertEquals(calls, 2);
});

Deno.test("typeText succeeds when the guest goes after the last key went down", async () => {
  const log: string[] = [];
  const keyboard: Keyboard = {
    sendKeys(events) {
      for (const { key, down } of events) log.push((down ? "+" : "-") + key.name);
      return log.length > 3 ? Promise.reject(new Error("it has gone")) : Promise.resolve();
    },
  };
  await typeText(keyboard, "a\n", { paceMs: 0 });
  assertEquals(log, ["+a", "-a", "+ret", "-ret"]);
});

Deno.test("typeText succeeds when the last key makes its signal abort: the guest has ended", async () => {
  const guest = new FakeGuest();
  const gone = new AbortController();
  const keyboard: Keyboard = {
    async sendKeys(events) {
      await guest.sendKeys(events);
      if (guest.text.endsWith("\n")) gone.abort(new Error("the guest has ended"));
    },
  };
  await typeText(keyboard, "off\n", { paceMs: 1, signal: gone.signal });
  assertEquals(guest.held, []);
  await assertRejects(
    () => typeText(keyboard, "a", { signal: gone.signal }),
    Error,
    "the guest has ended",
  );
});

Deno.test("pressChords presses in order and releases in reverse, chord after chord", async () => {
  const guest = new FakeGuest();
  const chords = [parseChord("ctrl-alt-f2"), [KEYS.get("ret")!]];
  await pressChords(guest, chords, { paceMs: 0, holdMs: 0 });
  assertEquals(guest.log.join(" "), "+ctrl +alt +f2 -f2 -alt -ctrl +ret -ret");
});
