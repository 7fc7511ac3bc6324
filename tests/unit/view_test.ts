import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../lib/base/errors.ts";
import { parseCommandLine } from "../../lib/cli/args.ts";
import { passwordIn, unsavedReason, viewSettingsOf } from "../../lib/cli/commands/view.ts";
import { since } from "../../lib/cli/view_source.ts";
import { type DisplayReport, NO_GL } from "../../lib/vm/screen.ts";

const settings = (...args: string[]) => viewSettingsOf(parseCommandLine(["view", ...args]));

Deno.test("viewSettingsOf checks every option before anything is done", () => {
  assertEquals(
    settings("hello", "--headless", "--duration", "1.5s", "--stats", "-", "--screenshot", "/a.png"),
    {
      target: { vm: "hello" },
      json: false,
      durationMs: 1500,
      screenshot: "/a.png",
      stats: "-",
    },
  );
  assertEquals(settings("spice://h:1", "--headless", "--json", "--password-file", "secret"), {
    target: { spice: { host: "h", port: 1 } },
    json: true,
    passwordFile: "secret",
  });
  assertEquals(
    settings("vm", "--headless", "--screenshot", "/a.png", "--cursor", "--display", "2"),
    { target: { vm: "vm" }, json: false, screenshot: "/a.png", cursor: true, display: 2 },
  );
  for (const args of [["--cursor"], ["--display", "1"]]) {
    const message = `Cannot use ${args[0]} without --screenshot`;
    assertThrows(() => settings("vm", "--headless", ...args), UsageError, message);
  }
  assertThrows(() => settings("vm", "--headless", "--duration", "5"), UsageError, "--duration");
  const dash = assertThrows(
    () => settings("vm", "--headless", "--screenshot", "-"),
    UsageError,
    'Cannot use --screenshot "-"',
  );
  assertEquals(dash.hint, "A file of that name is ./-");
  assertThrows(() => settings("vm", "--headless", "--screenshot", ""), UsageError, "no name");
  assertThrows(() => settings("spice://h", "--headless"), UsageError, "no host and port");
});

Deno.test("viewSettingsOf refuses a window, and a password for a VM of ours", () => {
  const error = assertThrows(() => settings("hello"), UsageError, "has none yet");
  assertEquals(error.hint?.includes("--headless"), true);
  assertThrows(() => settings("hello", "--window"), UsageError, "has none yet");
  assertThrows(
    () => settings("hello", "--headless", "--password-file", "secret"),
    UsageError,
    "Cannot use --password-file with a VM",
  );
});

Deno.test("since counts what came in between, and keeps the later size", () => {
  const report = (width: number, count: number): DisplayReport => ({
    id: 1,
    kind: "surface",
    width,
    height: 10,
    frames: count,
    gl: {
      ...NO_GL,
      scanouts: count,
      draws: count,
      acks: count,
      cpuBytes: count,
      copies: count,
      imports: count,
      textures: count,
    },
    surface: { messages: count, bytes: 10 * count },
  });
  assertEquals(since(report(640, 3), report(800, 10)), {
    ...report(800, 7),
  });
});

Deno.test("passwordIn takes the first line, and says what is wrong with it", () => {
  assertEquals(passwordIn("secret\r\nmore", "/p"), "secret");
  assertEquals(passwordIn("p".repeat(60), "/p").length, 60);
  const rows = [
    ["", "the file is empty"],
    ["\nsecret", "its first line is empty"],
    ["ü".repeat(31), "it has 62 bytes, expected at most 60"],
  ] as const;
  for (const [text, why] of rows) {
    const { message } = assertThrows(() => passwordIn(text, "/p"), UsageError);
    assertEquals(message, `Cannot use the password in "/p": ${why}`);
  }
});

Deno.test("unsavedReason does not say twice that a picture was not saved", () => {
  const rows = [
    ["Cannot save the screen: the server has no display", "the server has no display"],
    ['Cannot save the screen to "/a:b.png": disk full', "disk full"],
    ["Ended by SIGINT", "Ended by SIGINT"],
  ] as const;
  for (const [text, reason] of rows) {
    assertEquals(unsavedReason(new Error(text), "/a:b.png"), reason);
  }
});
