import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { NotRunningError, UsageError } from "../../lib/base/errors.ts";
import { QmpClosedError } from "../../lib/qmp/errors.ts";
import { expectAwake, failureOf } from "../../lib/vm/guest_access.ts";
import { Turns } from "../../lib/vm/turns.ts";
import { FakeGuest } from "../fakes/guest.ts";

Deno.test("expectAwake refuses a paused guest, and says how to let it go on", () => {
  const vm = new FakeGuest();
  expectAwake(vm, "type");
  vm.state = "paused";
  const error = assertThrows(() => expectAwake(vm, "type"), NotRunningError);
  assertEquals(error.message, "Cannot type: a1b2c3d4 is paused, expected running");
  assertEquals(error.hint, "Let it go on with: utmost resume a1b2c3d4");
});

Deno.test("failureOf tells the end of the VM where that is why", async () => {
  const vm = new FakeGuest();
  const lost = new QmpClosedError("Cannot run it: the connection is closed");
  const failing = failureOf(vm, "pause", lost);
  vm.end(); // QEMU's exit comes after the end of its connections
  const error = await failing;
  assert(error instanceof NotRunningError);
  assertEquals([error.exitCode, error.message], [13, "Cannot pause: the VM has ended"]);
  assertStrictEquals(error.cause, lost);
  assert(await failureOf(vm, "type", vm.gone.reason) instanceof NotRunningError);
  const usage = new UsageError("Cannot type: there is no such key");
  assertStrictEquals(await failureOf(vm, "type", usage), usage);
});

Deno.test("failureOf leaves an error of a VM that goes on as it is", async () => {
  const vm = new FakeGuest();
  const left = new DOMException("the client has left", "AbortError");
  assertStrictEquals(await failureOf(vm, "type", left), left);
});

Deno.test("Turns lets one work at a time, whether or not the one before failed", async () => {
  const turns = new Turns();
  const log: string[] = [];
  const first = Promise.withResolvers<void>();
  const client = new AbortController();
  const all = [
    turns.take(async () => {
      log.push("first");
      await first.promise;
      throw new Error("it fails");
    }),
    turns.take(() => Promise.resolve(log.push("left")), client.signal),
    turns.take(() => Promise.resolve(log.push("last"))),
  ];
  const settled = Promise.allSettled(all);
  await Promise.resolve();
  client.abort(new Error("the client has left"));
  assertEquals(log, ["first"]);
  first.resolve();
  assertEquals((await settled).map(({ status }) => status), ["rejected", "rejected", "fulfilled"]);
  assertEquals(log, ["first", "last"]);
});
