import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { ShimError, SpiceError } from "../../lib/base/errors.ts";
import {
  SpiceClosedError,
  SpiceConnectError,
  SpiceDecodeError,
  SpiceLimitError,
  SpiceLinkError,
  SpiceTimeoutError,
} from "../../lib/spice/errors.ts";
import { errorOf, plainError } from "../../lib/vm/display_protocol.ts";

/** What becomes of an error on its way to another thread. */
const sent = (error: unknown) => errorOf(structuredClone(plainError(error)));

for (
  const Class of [
    SpiceClosedError,
    SpiceConnectError,
    SpiceDecodeError,
    SpiceLimitError,
    SpiceTimeoutError,
    SpiceError,
  ]
) {
  Deno.test(`${Class.name} stays one in another thread`, () => {
    const error = sent(new Class("Cannot do it: no", { hint: "Do it better" }));
    assertInstanceOf(error, Class);
    assertEquals([error.message, error.hint, error.exitCode], [
      "Cannot do it: no",
      "Do it better",
      8,
    ]);
  });
}

Deno.test("SpiceLinkError keeps the server's code", () => {
  const error = sent(SpiceLinkError.refused("display", 7, { password: true }));
  assertInstanceOf(error, SpiceLinkError);
  assertEquals([error.code, error.codeName], [7, "PERMISSION_DENIED"]);
  assert(error.hint !== undefined);
});

Deno.test("an error of another branch is one of SPICE's, whose display it ended", () => {
  const error = sent(new ShimError("Cannot open EGL: no"));
  assertInstanceOf(error, SpiceError);
  assertEquals(error.message, "Cannot open EGL: no");
});

Deno.test("a defect stays one, with the stack of where it was", () => {
  const error = sent(new TypeError("undefined is not a function"));
  assert(!(error instanceof SpiceError));
  assertEquals([error.name, error.message], ["TypeError", "undefined is not a function"]);
  assert(error.stack?.includes("display_protocol_test"));
  assertEquals(sent("a text").message, "a text");
});
