import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { targetUri } from "../../lib/spice/spice_uri.ts";
import { findVm } from "../../lib/vm/find.ts";
import * as fc from "fast-check";
import { UsageError } from "../../lib/base/errors.ts";
import { likelyAddress, parseViewTarget } from "../../lib/cli/view_target.ts";

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
      "spice://host:5900/x",
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
  assertEquals(
    refusal("spice://host:65536"),
    'Cannot view "spice://host:65536": the port is 65536, expected one from 1 to 65535',
  );
  const user = assertThrows(() => parseViewTarget("spice://me:secret@host:5900"), UsageError);
  assertEquals(user.message, `Cannot view "spice://…@host:5900": SPICE has no users, ${usage}`);
  assertEquals(user.hint, "A password is given with --password-file FILE.");
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

Deno.test("targetUri is what parseViewTarget takes", () => {
  for (
    const spice of [
      { path: "/run/my vm/100%/ü#?" },
      { host: "example.org", port: 5900 },
      { host: "fe80::1%eth0", port: 1 },
    ]
  ) assertEquals<unknown>(parseViewTarget(targetUri(spice)), { spice });
});

Deno.test("likelyAddress knows hosts with ports, and sockets", async () => {
  assertEquals(await likelyAddress("127.0.0.1:5999"), "spice://127.0.0.1:5999");
  assertEquals(await likelyAddress("[::1]:5999"), "spice://[::1]:5999");
  for (const word of ["hello", "/none", "/"]) assertEquals(await likelyAddress(word), undefined);
  const folder = await Deno.makeTempDir();
  try {
    using _listener = Deno.listen({ transport: "unix", path: `${folder}/spice` });
    assertEquals(await likelyAddress(`${folder}/spice`), `spice+unix://${folder}/spice`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("findVm refuses SPICE servers, and shows no password", async () => {
  const error = await assertRejects(() => findVm("spice://me:secret@host:1"), UsageError);
  assertEquals(
    error.message,
    'Cannot use "spice://…@host:1" here: it is a SPICE server, expected a running VM',
  );
});
