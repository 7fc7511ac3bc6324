/** Keyboard and pointer of real guests, through SPICE and through QMP. */
import { assert, assertEquals, assertGreater } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { pause, retry } from "../../lib/base/deadline.ts";
import { type Keyboard, pressChords, typeText } from "../../lib/base/keyboard.ts";
import { KEYS, parseChord } from "../../lib/base/keys.ts";
import { QmpKeyboard } from "../../lib/qmp/input.ts";
import { SpiceInputs } from "../../lib/spice/inputs.ts";
import { SpiceSession } from "../../lib/spice/session.ts";
import { LiveGuest } from "./live_guest.ts";
import { testQemus } from "./screen_rig.ts";

const IMAGE = fromFileUrl(new URL("../../examples/hello.utm/Data/hello.img", import.meta.url));
const HELLO = [
  ...["-machine", "q35", "-m", "64", "-device", "virtio-vga"],
  ...["-drive", `file=${IMAGE},format=raw,if=virtio,snapshot=on`],
];
const PRINTABLE = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join("");

/** Types every printable character, corrects a line, and switches the guest off: all on keys. */
async function converse(guest: LiveGuest, keyboard: Keyboard): Promise<void> {
  const echo = async (pattern: RegExp) => {
    const { text } = await guest.serial.expect(pattern, { timeoutMs: 10_000 });
    return text;
  };
  await typeText(keyboard, `${PRINTABLE}\n`);
  assertEquals(await echo(/echo: .*\r\n/), `echo: ${PRINTABLE}\r\n`);
  await typeText(keyboard, "abd\bc\n");
  assertEquals(await echo(/echo: .*\r\n/), "echo: abc\r\n");
  const chords = ["x", "ctrl-u", "shift-h", "kp_enter"].map(parseChord);
  await pressChords(keyboard, chords, { holdMs: 20 });
  assertEquals(await echo(/echo: .*\r\n/), "echo: H\r\n");
  await typeText(keyboard, "poweroff\n");
  await echo(/utmost: powering off/);
}

Deno.test("e2e: inputs: hello.utm echoes every printable character typed through SPICE", async () => {
  await using guest = await LiveGuest.start({ argv: HELLO });
  await guest.serial.expect(/hello> /, { timeoutMs: 60_000 });
  await using session = await SpiceSession.connect(guest.spice);
  await using inputs = await SpiceInputs.open(session);
  await converse(guest, inputs);
});

Deno.test("e2e: inputs: hello.utm echoes what is typed through QMP to a QEMU without SPICE", async () => {
  await using guest = await LiveGuest.start({ argv: HELLO, spice: false });
  await guest.serial.expect(/hello> /, { timeoutMs: 60_000 });
  await converse(guest, new QmpKeyboard(guest.qmp));
});

/** Keys that share a scancode with one that QEMU takes it for. */
const TAKEN_FOR: Readonly<Record<string, string>> = { sysrq: "print", asterisk: "kp_multiply" };

for (const { name, binary, missing } of await testQemus()) {
  if (missing !== undefined) console.log(`skipped: the keys of ${name}: ${missing}`);
  Deno.test({
    name: `e2e: inputs: ${name} takes the scancode of every key for its QKeyCode`,
    ignore: missing !== undefined,
    fn: () => compareKeys(binary),
  });
}

/** Presses all keys that a QEMU knows, and reads in its trace what it has taken them for. */
async function compareKeys(binary: string): Promise<void> {
  const trace = await Deno.makeTempFile({ prefix: "utmost-e2e-trace-" });
  try {
    await using guest = await LiveGuest.start({
      binary,
      argv: ["-machine", "q35", "-m", "64", "-D", trace, "-trace", "enable=input_event_key_qcode"],
    });
    const known = await qkeycodes(guest);
    const keys = [...KEYS.values()].filter(({ name }) => known.has(name));
    for (const name of known) assert(name === "unmapped" || KEYS.has(name), `${name} is missing`);
    console.log(`${keys.length} of ${KEYS.size} keys are known to this QEMU`);
    assertGreater(keys.length, 145);

    await using session = await SpiceSession.connect(guest.spice);
    await using inputs = await SpiceInputs.open(session);
    for (const key of keys) {
      await inputs.sendKeys([{ key, down: true }, { key, down: false }]);
      await pause(2);
    }
    const wanted = keys.flatMap(({ name }) => {
      const taken = TAKEN_FOR[name] ?? name;
      return [`${taken} 1`, `${taken} 0`];
    });
    const seen = await retry("the trace of all keys", async () => {
      const text = await Deno.readTextFile(trace);
      const events = [...text.matchAll(/key qcode (\w+), down ([01])/g)];
      if (events.length < wanted.length) throw new Deno.errors.NotFound(`${events.length} events`);
      return events.map(([, name, down]) => `${name} ${down}`);
    }, { timeoutMs: 10_000, canSucceedLater: (error) => error instanceof Deno.errors.NotFound });
    assertEquals(seen, wanted);
  } finally {
    await Deno.remove(trace);
  }
}

/** The names of keys that a QEMU knows. */
async function qkeycodes(guest: LiveGuest): Promise<Set<string>> {
  const schema = await guest.qmp.executeRaw({ execute: "query-qmp-schema" });
  for (const entry of schema as { "meta-type": string; values?: string[] }[]) {
    if (entry["meta-type"] === "enum" && entry.values?.includes("kp_decimal")) {
      return new Set(entry.values);
    }
  }
  throw new Error("the schema has no QKeyCode");
}
