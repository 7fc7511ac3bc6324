/** The watchdog of GL draws, on a clock of the test's. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { GlLedger } from "../../lib/display/gl_ledger.ts";
import { DisplayCells } from "../../lib/vm/display_cells.ts";
import { GlWatchdog } from "../../lib/vm/gl_watchdog.ts";

class Rig implements Disposable {
  readonly cells = new DisplayCells();
  readonly ledger = new GlLedger();
  readonly told: string[] = [];
  sends = 0;
  canSend = true;
  readonly #watchdog = new GlWatchdog({
    name: "display-1",
    cells: this.cells,
    ledger: this.ledger,
    describe: () => "640×480",
    acknowledge: () => {
      this.sends++;
      return this.canSend;
    },
    onTrip: (text) => this.told.push(text),
    onHang: (text) => this.told.push(`hangs: ${text}`),
  });

  /** A draw whose copy begins. */
  begin(): void {
    this.ledger.draw();
    this.cells.owe();
    this.ledger.stage = "copy";
  }

  /** The thread is back. @returns Whether it sends the acknowledgement. */
  finish(): boolean {
    this.ledger.stage = "idle";
    const sends = this.cells.takeOwed();
    if (sends) this.ledger.ack(1);
    return sends;
  }

  /** Looks every 200 ms. */
  run(fromMs: number, toMs: number): void {
    for (let now = fromMs; now <= toMs; now += 200) this.#watchdog.check(now);
  }

  [Symbol.dispose](): void {
    this.#watchdog[Symbol.dispose]();
  }
}

Deno.test("draws that are acknowledged in time are none of the watchdog's business", () => {
  using rig = new Rig();
  for (let at = 0; at < 20_000; at += 800) {
    rig.begin();
    rig.run(at, at + 600);
    assertEquals(rig.finish(), true);
  }
  for (let at = 20_000; at < 24_000; at += 100) { // owed whenever it looks, but never the same
    rig.begin();
    rig.run(at, at);
    rig.finish();
  }
  assertEquals([rig.sends, rig.told], [0, []]);
});

Deno.test("a draw that is owed for a second is acknowledged by the watchdog, once", () => {
  using rig = new Rig();
  rig.begin();
  rig.run(0, 800);
  assertEquals(rig.sends, 0);
  rig.run(1000, 3000);
  assertEquals([rig.sends, rig.ledger.acks], [1, 1]);
  assertEquals(rig.told, [
    "no draw of display-1 was acknowledged for 1000 ms: its thread is at " +
    '"copy" with draw 1 of 640×480, and 0 were acknowledged; this one is now, without its copy',
  ]);
  assertEquals(rig.finish(), false);
  rig.run(3200, 20_000);
  assertEquals(rig.told.length, 1);
  rig.begin();
  assertEquals(rig.finish(), true);
});

Deno.test("time in which the process was stopped counts for nothing", () => {
  using rig = new Rig();
  rig.begin();
  rig.run(0, 400);
  rig.run(60_000, 60_000); // the thread was stopped as well
  assertEquals([rig.sends, rig.told], [0, []]);
  assertEquals(rig.finish(), true);
  rig.begin();
  rig.run(60_200, 61_400);
  assertEquals(rig.sends, 1);
});

Deno.test("an acknowledgement that does not leave is tried again", () => {
  using rig = new Rig();
  rig.canSend = false;
  rig.begin();
  rig.run(0, 1400);
  assertEquals([rig.sends, rig.ledger.acks, rig.cells.isOwed], [3, 0, true]);
  rig.canSend = true;
  rig.run(1600, 1600);
  assertEquals([rig.sends, rig.ledger.acks, rig.cells.isOwed], [4, 1, false]);
});

Deno.test("a thread that stays away is given up", () => {
  using rig = new Rig();
  rig.begin();
  rig.run(0, 5800);
  assertEquals(rig.told.length, 1);
  rig.run(6000, 12_000);
  assertEquals(rig.told.length, 2);
  assertStringIncludes(
    rig.told[1]!,
    'hangs: the thread of display-1 does not come back from "copy"',
  );
});
