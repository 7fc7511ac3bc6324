/** What a Linux sees of its keyboards and mice when they are moved through SPICE. */
import { assert, assertEquals, assertGreater, assertThrows } from "@std/assert";
import { pause, retry } from "../../lib/base/deadline.ts";
import { SpiceError } from "../../lib/base/errors.ts";
import { pressChords, typeText } from "../../lib/base/keyboard.ts";
import { keyNamed, KEYS, parseChord } from "../../lib/base/keys.ts";
import { click, moveInSteps, turnWheel } from "../../lib/base/pointer.ts";
import { SpiceInputs } from "../../lib/spice/inputs.ts";
import { SpiceSession } from "../../lib/spice/session.ts";
import { findInstaller, InputGuest, InputGuestFiles } from "./input_guest.ts";

/** Numbers of linux/input-event-codes.h. */
const [EV_KEY, EV_REL, EV_ABS] = [1, 2, 3];
const REL_WHEEL = 8;
const BUTTON_CODES = { left: 0x110, right: 0x111, middle: 0x112, side: 0x113, extra: 0x114 };
const LINUX_CODES: Readonly<Record<string, number>> = {
  ...{ kp_enter: 96, ctrl_r: 97, kp_divide: 98, print: 99, alt_r: 100, home: 102, up: 103 },
  ...{ pgup: 104, left: 105, right: 106, end: 107, down: 108, pgdn: 109, insert: 110 },
  ...{ delete: 111, audiomute: 113, volumedown: 114, volumeup: 115, pause: 119, meta_l: 125 },
  ...{ meta_r: 126, compose: 127 },
};
/** What an axis of QEMU's tablets goes up to. Source: QEMU include/ui/input.h, INPUT_EVENT_ABS_MAX. */
const ABS_MAX = 0x7fff;
const SCREEN = { width: 1024, height: 768 };
const PRINTABLE = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join("");

const installer = await findInstaller();

/** Registers a test that boots a Linux, or says why it cannot. */
function linuxTest(
  name: string,
  argv: readonly string[],
  devices: readonly string[],
  run: (guest: InputGuest) => Promise<void>,
): void {
  if (installer === undefined) {
    console.log(`skipped: ${name}: Debian's installer (amd64, graphical) is not installed`);
  }
  Deno.test({
    name: `e2e: inputs: ${name}`,
    ignore: installer === undefined,
    async fn() {
      await using files = await InputGuestFiles.make(installer!);
      await using guest = await InputGuest.boot(files, argv, devices);
      await run(guest);
    },
  });
}

/** A code is a key's own number on Linux, as far as it is not extended. */
function codeOf(name: string): number {
  return LINUX_CODES[name] ?? KEYS.get(name)!.down[0]!;
}

const down = (name: string) => [EV_KEY, codeOf(name), 1];
const up = (name: string) => [EV_KEY, codeOf(name), 0];

/** Types on a keyboard, and compares what arrives key by key. */
async function expectTyping(guest: InputGuest, inputs: SpiceInputs): Promise<void> {
  await typeText(inputs, "Az9\n");
  assertEquals(await guest.next(10), [
    ...[down("shift"), down("a"), up("a"), up("shift"), down("z"), up("z")],
    ...[down("9"), up("9"), down("ret"), up("ret")],
  ]);
  // Each printable character is one stroke, and Shift is pressed for each run of those that need it.
  await typeText(inputs, PRINTABLE);
  const runs = PRINTABLE.match(/[~!@#$%^&*()_+{}|:"<>?A-Z]+/g)!.length;
  const events = await guest.next(2 * (95 + runs));
  await pause(100);
  assertEquals([...events, ...guest.events.splice(0)].length, 2 * (95 + runs));

  const names = Object.keys(LINUX_CODES).filter((name) => KEYS.has(name));
  await pressChords(inputs, names.map((name) => [keyNamed(name)]), { holdMs: 0 });
  const wanted = names.flatMap((name) => [down(name), up(name)]);
  assertEquals(await guest.next(wanted.length), wanted);
  await pressChords(inputs, [parseChord("ctrl-altgr-f12")]);
  assertEquals(await guest.next(6), [
    ...[down("ctrl"), down("alt_r"), down("f12"), up("f12"), up("alt_r"), up("ctrl")],
  ]);
}

/** Caps Lock: the guest lights it, typing makes up for it, and it can be switched off from here. */
async function expectLocks(guest: InputGuest, inputs: SpiceInputs): Promise<void> {
  const lit = (caps: boolean) =>
    retry(`Caps Lock ${caps}`, () => {
      if (inputs.locks.caps !== caps) throw new Deno.errors.NotFound("not yet");
      return Promise.resolve();
    }, { timeoutMs: 5000, canSucceedLater: (error) => error instanceof Deno.errors.NotFound });
  await pressChords(inputs, [parseChord("caps_lock")]);
  await lit(true);
  await guest.next(2);
  await typeText(inputs, "a1B");
  assertEquals(await guest.next(8), [
    ...[down("shift"), down("a"), up("a"), up("shift"), down("1"), up("1"), down("b"), up("b")],
  ]);
  inputs.setLocks({ caps: false });
  await lit(false);
  assertEquals(await guest.next(2), [down("caps_lock"), up("caps_lock")]);
}

/** Presses buttons and turns the wheel. */
async function expectButtons(
  guest: InputGuest,
  inputs: SpiceInputs,
  buttons: readonly (keyof typeof BUTTON_CODES)[],
): Promise<void> {
  for (const button of buttons) {
    await click(inputs, button);
    const code = BUTTON_CODES[button];
    assertEquals(await guest.next(2), [[EV_KEY, code, 1], [EV_KEY, code, 0]], button);
  }
  const turned = () =>
    guest.events.filter(({ type, code }) => type === EV_REL && code === REL_WHEEL)
      .reduce((sum, { value }) => sum + value, 0);
  for (const notches of [1, -1, 3, -30, 30]) {
    await turnWheel(inputs, notches);
    await guest.until(() => turned() === -notches); // Linux counts up as positive
    guest.events.length = 0;
  }
}

/** Moves the pointer to places, and compares what arrives with QEMU's own scaling. */
async function expectPlaces(guest: InputGuest, inputs: SpiceInputs): Promise<void> {
  const { width, height } = SCREEN;
  const places = [
    ...[[512, 384], [0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]],
    ...[[1, 1], [511, 383], [width / 4, height / 4], [1022, 766], [512, 384]],
  ] as const;
  let last: readonly [number, number] | undefined;
  for (const [x, y] of places) {
    const scaled = [Math.floor(x! * ABS_MAX / width), Math.floor(y! * ABS_MAX / height)] as const;
    const wanted = [0, 1].filter((axis) => scaled[axis] !== last?.[axis])
      .map((axis) => [EV_ABS, axis, scaled[axis]]);
    inputs.moveTo(x!, y!);
    await inputs.settled();
    assertEquals(await guest.next(wanted.length), wanted, `${x},${y}`);
    last = scaled;
  }
  // A thousand motions in one turn: the last one counts, and few of the others are sent at all.
  for (let n = 0; n < 1000; n++) inputs.moveTo(n, n % height);
  await inputs.settled();
  const end = { x: Math.floor(999 * ABS_MAX / width), y: Math.floor(231 * ABS_MAX / height) };
  await guest.until(() =>
    guest.events.some(({ type, code, value }) =>
      type === EV_ABS && code === 0 && value === end.x
    ) &&
    guest.events.some(({ type, code, value }) => type === EV_ABS && code === 1 && value === end.y)
  );
  assert(guest.events.length < 40, `${guest.events.length} events`);
  guest.events.length = 0;
}

/** Attaches, and returns once the screen has the size that the guest was told to set. */
async function attach(
  guest: InputGuest,
  options: { pointer?: "absolute" | "relative" } = {},
): Promise<SpiceSession> {
  let size = "";
  const session = await SpiceSession.connect(guest.live.spice, {
    ...options,
    onDisplay: () => ({
      surface_create: ({ width, height }) => void (size = `${width}x${height}`),
    }),
  });
  await retry("the guest's resolution", () => {
    const isThere = size === `${SCREEN.width}x${SCREEN.height}`;
    return isThere ? Promise.resolve() : Promise.reject(new Deno.errors.NotFound(size));
  }, { timeoutMs: 30_000, canSucceedLater: (error) => error instanceof Deno.errors.NotFound });
  return session;
}

const USB = ["-device", "qemu-xhci", "-device", "usb-tablet", "-device", "usb-kbd"];
const USB_NAMES = ["QEMU QEMU USB Tablet 0..32767 0..32767", "QEMU QEMU USB Keyboard"];

linuxTest(
  "a usb-tablet gets the places asked for, a usb-kbd the keys",
  USB,
  USB_NAMES,
  async (guest) => {
    {
      await using session = await attach(guest);
      await session.waitForPointer("absolute");
      await using inputs = await SpiceInputs.open(session);
      await expectPlaces(guest, inputs);
      await expectButtons(guest, inputs, ["left", "middle", "right"]); // it has no more
      await expectTyping(guest, inputs);
      await expectLocks(guest, inputs);
      assertThrows(() => inputs.moveBy(1, 1), SpiceError, "absolute");
    }
    await using session = await attach(guest, { pointer: "relative" });
    await session.waitForPointer("relative");
    await using inputs = await SpiceInputs.open(session);
    await pause(200);
    assertEquals(session.mouseMode.current, 1, "a session that is to stay relative does");
    inputs.moveBy(3, -4);
    assertEquals(await guest.next(2), [[EV_REL, 0, 3], [EV_REL, 1, -4]]);
  },
);

const VIRTIO = ["-device", "virtio-tablet-pci", "-device", "virtio-keyboard-pci"];
const VIRTIO_NAMES = ["QEMU Virtio Tablet 0..32767 0..32767", "QEMU Virtio Keyboard"];

linuxTest(
  "virtio devices get places, all buttons, and keys",
  VIRTIO,
  VIRTIO_NAMES,
  async (guest) => {
    await using session = await attach(guest);
    await session.waitForPointer("absolute");
    await using inputs = await SpiceInputs.open(session);
    await expectPlaces(guest, inputs);
    await expectButtons(guest, inputs, ["left", "middle", "right", "side", "extra"]);
    await expectTyping(guest, inputs);
    await expectLocks(guest, inputs);
  },
);

const PS2_NAMES = ["ImExPS/2 Generic Explorer Mouse", "AT Translated Set 2 keyboard"];

linuxTest(
  "PS/2: relative motion, all buttons, keys, and releases at the end",
  [],
  PS2_NAMES,
  async (guest) => {
    await using session = await attach(guest);
    assertEquals(session.mouseMode, { supported: 1, current: 1 });
    const inputs = await SpiceInputs.open(session);
    assertThrows(() => inputs.moveTo(1, 1), SpiceError, "relative");
    inputs.moveBy(10, -20);
    assertEquals(await guest.next(2), [[EV_REL, 0, 10], [EV_REL, 1, -20]]);
    const moved = () =>
      [0, 1].map((axis) =>
        guest.events.filter(({ type, code }) => type === EV_REL && code === axis)
          .reduce((sum, { value }) => sum + value, 0)
      );
    await moveInSteps(inputs, -1500, 700);
    await guest.until(() => moved().join() === "-1500,700");
    guest.events.length = 0;
    for (let n = 0; n < 200; n++) inputs.moveBy(1, n % 2); // joined while the server is busy
    await inputs.settled();
    // QEMU's mouse keeps what its queue has no room for until it is moved again.
    const nudging = setInterval(() => {
      inputs.moveBy(1, 0);
      inputs.moveBy(-1, 0);
    }, 200);
    await guest.until(() => moved().join() === "200,100").finally(() => clearInterval(nudging));
    assertGreater(200, guest.events.length);
    await inputs.settled();
    await pause(200);
    guest.events.length = 0;

    await expectButtons(guest, inputs, ["left", "middle", "right", "side", "extra"]);
    await expectTyping(guest, inputs);
    await expectLocks(guest, inputs);

    await inputs.sendKeys([{ key: keyNamed("ctrl"), down: true }]);
    inputs.press("left");
    assertEquals(await guest.next(2), [down("ctrl"), [EV_KEY, BUTTON_CODES.left, 1]]);
    await inputs[Symbol.asyncDispose]();
    const released = await guest.next(2);
    assertEquals(released.toSorted((a, b) => a[1] - b[1]), [
      up("ctrl"),
      [EV_KEY, BUTTON_CODES.left, 0],
    ]);
  },
);
