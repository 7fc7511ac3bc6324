import { assertEquals } from "@std/assert";
import { DisplayCells } from "../../lib/vm/display_cells.ts";

/** Both sides of the same memory. */
function pair(): [owner: DisplayCells, thread: DisplayCells] {
  const owner = new DisplayCells();
  return [owner, new DisplayCells(owner.memory)];
}

Deno.test("what is owed is taken once, whoever comes first", () => {
  const [owner, thread] = pair();
  assertEquals(owner.takeOwed(), false);
  thread.owe();
  assertEquals([owner.isOwed, owner.takeOwed(), thread.takeOwed()], [true, true, false]);
  thread.owe();
  assertEquals([thread.takeOwed(), owner.takeOwed(), owner.isOwed], [true, false, false]);
});

Deno.test("a descriptor is closed once, also number 0", () => {
  const [owner, thread] = pair();
  assertEquals(owner.takeSocket(), undefined);
  for (const fd of [0, 17]) {
    owner.giveSocket(fd);
    assertEquals([thread.takeSocket(), owner.takeSocket()], [fd, undefined]);
  }
});

Deno.test("a change is told once each time the owner wants to know", () => {
  const [owner, thread] = pair();
  assertEquals(thread.change(true), false);
  owner.arm();
  assertEquals([thread.change(false), thread.change(true)], [true, false]);
  assertEquals([owner.changes, owner.frames], [3, 2]);
});

Deno.test("the owner is asked to wake the thread for news that it has kept back", () => {
  const [owner, thread] = pair();
  assertEquals([owner.answer(1), thread.answered], [false, 1]);
  thread.hasMore = true;
  assertEquals(owner.answer(2), true);
  thread.hasMore = false;
  assertEquals(owner.answer(3), false);
});

Deno.test("counts are told, and who waits for a message is told once it is handled", () => {
  const [owner, thread] = pair();
  const counts = { messages: 3, bytes: 2 ** 40, acks: 1, malformed: 2 };
  assertEquals(thread.tell(counts, 2), false);
  assertEquals([owner.counts, owner.handled], [counts, 2]);
  owner.await(4n);
  assertEquals([thread.tell(counts, 3), thread.tell(counts, 4), thread.tell(counts, 5)], [
    false,
    true,
    false,
  ]);
});

Deno.test("counts go on beyond 31 bits", () => {
  const [owner, thread] = pair();
  thread.tell({ messages: 0xffff_fff0, bytes: 0, acks: 0, malformed: 0 }, 0xffff_fff0);
  assertEquals([owner.counts.messages, owner.handled], [0xffff_fff0, 0xffff_fff0]);
});
