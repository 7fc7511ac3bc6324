import { assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { UsageError } from "../../lib/base/errors.ts";
import { parseViewTarget } from "../../lib/cli/view_target.ts";

function refusal(text: string): string {
  return assertThrows(() => parseViewTarget(text), UsageError).message;
}

Deno.test("parseViewTarget takes sockets, hosts, and whatever else for a VM", () => {
  const rows: [string, unknown][] = [
    ["hello", { vm: "hello" }],
    ["/vms/hello.utm", { vm: "/vms/hello.utm" }],
    ["spice", { vm: "spice" }],
    ["spice+unix:///run/vm/spice", { spice: { path: "/run/vm/spice" } }],
    ["spice+unix:///run/my%20vm/100%25", { spice: { path: "/run/my vm/100%" } }],
    ["SPICE://example.org:5900", { spice: { host: "example.org", port: 5900 } }],
    ["spice://127.0.0.1:1/", { spice: { host: "127.0.0.1", port: 1 } }],
    ["spice://[::1]:5900", { spice: { host: "::1", port: 5900 } }],
    ["spice://[fe80::1%eth0]:5900", { spice: { host: "fe80::1%eth0", port: 5900 } }],
  ];
  for (const [text, expected] of rows) assertEquals<unknown>(parseViewTarget(text), expected, text);
});

Deno.test("parseViewTarget refuses what is not complete, and says what is expected", () => {
  const usage = "expected spice+unix:///PATH or spice://HOST:PORT";
  assertEquals(
    refusal("spice+unix://run/spice"),
    `Cannot view "spice+unix://run/spice": the path is not absolute, ${usage}`,
  );
  assertEquals(
    refusal("spice+unix:///run/%zz"),
    'Cannot view "spice+unix:///run/%zz": a percent sign begins no escape, write it as %25',
  );
  for (
    const text of [
      "spice://",
      "spice://host",
      "spice://host:0",
      "spice://host:65536",
      "spice://host:5900/x",
      "spice://user@host:5900",
      "spice://host?port=5900",
      "spice://:5900",
      "spice://[::1]",
    ]
  ) {
    assertEquals(refusal(text), `Cannot view "${text}": it has no host and port, ${usage}`);
  }
  assertEquals(
    refusal("vnc://host:5900"),
    `Cannot view "vnc://host:5900": there is no vnc://, ${usage}`,
  );
  const { hint } = assertThrows(() => parseViewTarget("spice://::1:5900"), UsageError);
  assertEquals(hint, "An IPv6 address is in brackets.");
});

Deno.test("parseViewTarget either parses or refuses, whatever it is given", () => {
  const word = fc.tuple(
    fc.constantFrom("", "spice://", "spice+unix://", "spice+unix:///", "x://", "spice://["),
    fc.oneof(fc.string(), fc.constantFrom("a:1", "::1]:5900", "%", "%00")),
  );
  fc.assert(
    fc.property(word, ([scheme, rest]) => {
      try {
        parseViewTarget(scheme + rest);
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
      }
    }),
    { numRuns: 500 },
  );
});
