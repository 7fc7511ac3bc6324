import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../lib/base/errors.ts";
import {
  parseCount,
  parseDrive,
  parseDuration,
  parseForward,
  parsePattern,
  parseSendText,
  parseShare,
  parseTypedText,
  parseWords,
} from "../../lib/cli/values.ts";
import { EscapeFilter } from "../../lib/cli/terminal.ts";

Deno.test("parseDuration reads ms, s, m and h", () => {
  assertEquals(["500ms", "90s", "1.5m", "1h"].map((text) => parseDuration("--timeout", text)), [
    500,
    90_000,
    90_000,
    3_600_000,
  ]);
  for (const text of ["", "5", "-1s", "0s", "1d", "s", "1e3s", "99999h", "1 s"]) {
    assertThrows(() => parseDuration("--timeout", text), UsageError, "expected a duration");
  }
});

Deno.test("parseCount keeps to its range", () => {
  assertEquals(parseCount("--cpus", "4", 1, 8), 4);
  for (const text of ["0", "9", "4.0", "-1", "0x2", "", " 4"]) {
    assertThrows(() => parseCount("--cpus", text, 1, 8), UsageError, "from 1 to 8");
  }
});

Deno.test("parseSendText replaces its escapes and keeps the rest, in UTF-8", () => {
  const sent = (text: string) => [...parseSendText(text)];
  assertEquals(sent("a\\n\\r\\t\\\\"), [97, 10, 13, 9, 92]);
  assertEquals(sent("\\x1b\\xFF\\x00"), [27, 255, 0]);
  assertEquals(sent("ü€"), [0xc3, 0xbc, 0xe2, 0x82, 0xac]);
  assertEquals(sent(""), []);
  for (const text of ["\\q", "\\x1", "\\xzz", "end\\"]) {
    assertThrows(() => parseSendText(text), UsageError, "is no escape");
  }
});

Deno.test("parseTypedText has the escapes of send, and is a text", () => {
  assertEquals(parseTypedText("a\\n\\r\\t\\\\\\x1b"), "a\n\r\t\\\x1b");
  assertEquals(parseTypedText("ü\\xc3\\xbc"), "üü");
  assertThrows(() => parseTypedText("\\q"), UsageError, 'Cannot type "\\q": "\\q" is no escape');
  assertThrows(() => parseTypedText("\\xff"), UsageError, "its bytes are no text");
  assertThrows(() => parseTypedText(""), UsageError, "Cannot type nothing, expected a text");
});

Deno.test("parsePattern lets ^ and $ match at lines, and says what is wrong with a pattern", () => {
  assertEquals(parsePattern("^b$").test("a\r\nb\r\n"), true);
  assertThrows(() => parsePattern("("), UsageError, "Cannot use --expect");
});

Deno.test("parseForward binds to 127.0.0.1 unless told otherwise", () => {
  assertEquals(parseForward("tcp:2222:22"), {
    protocol: "tcp",
    hostAddress: "127.0.0.1",
    hostPort: 2222,
    guestPort: 22,
  });
  assertEquals(parseForward("udp:0.0.0.0:0:53").hostAddress, "0.0.0.0");
  assertEquals(parseForward("tcp:[::1]:80:80").hostAddress, "[::1]");
  for (
    const text of ["2222:22", "tcp:22", "tcp:70000:22", "tcp:1:0", "tcp:::1:1:1", "tcp:a,b:1:x"]
  ) {
    assertThrows(() => parseForward(text), UsageError, "Cannot use --forward");
  }
});

Deno.test("parseShare and parseDrive split at their marks", () => {
  assertEquals(parseShare("/a:b:ro"), { path: "/a:b", readOnly: true });
  assertEquals(parseShare("/a"), { path: "/a", readOnly: false });
  assertThrows(() => parseShare(":ro"), UsageError);
  assertEquals(parseDrive("cd0=/a=b.iso"), ["cd0", "/a=b.iso"]);
  for (const text of ["cd0", "=x", "cd0="]) assertThrows(() => parseDrive(text), UsageError);
});

Deno.test("parseWords takes lists and names the nearest word", () => {
  assertEquals([...parseWords("--allow", ["a,b", "c"], ["a", "b", "c"])], ["a", "b", "c"]);
  const error = assertThrows(() => parseWords("--allow", ["prots"], ["ports"]), UsageError);
  assertEquals(error.hint, "Did you mean ports?");
});

Deno.test("EscapeFilter leaves at Ctrl-A x, also when the keys come one by one", () => {
  const filter = new EscapeFilter();
  const push = (...bytes: number[]) => {
    const { bytes: out, leave } = filter.push(Uint8Array.from(bytes));
    return [[...out], leave];
  };
  assertEquals(push(97, 1), [[97], false]);
  assertEquals(push(98), [[1, 98], false]);
  assertEquals(push(1, 1, 99), [[1, 99], false]);
  assertEquals(push(1), [[], false]);
  assertEquals(push(120), [[], true]);
});
