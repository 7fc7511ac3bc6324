import { assertEquals } from "@std/assert";
import { typeText } from "../../lib/base/keyboard.ts";
import { keyNamed } from "../../lib/base/keys.ts";
import type { QmpCommands } from "../../lib/qmp/commands.ts";
import { QmpKeyboard } from "../../lib/qmp/input.ts";

type Sent = QmpCommands["input-send-event"]["arguments"];

/** A QMP client that notes what it is to execute, and answers at once. */
function recorder(): { sent: [command: string, args: Sent][]; keyboard: QmpKeyboard } {
  const sent: [string, Sent][] = [];
  const execute = (command: string, args: Sent) => {
    sent.push([command, args]);
    return Promise.resolve({});
  };
  return { sent, keyboard: new QmpKeyboard({ execute } as never) };
}

Deno.test("QmpKeyboard sends the events of one call in one command, by QKeyCode", async () => {
  const { sent, keyboard } = recorder();
  const [ctrl, pause] = [keyNamed("ctrl"), keyNamed("pause")];
  await keyboard.sendKeys([{ key: ctrl, down: true }, { key: pause, down: false }]);
  assertEquals(sent, [["input-send-event", {
    events: [
      { type: "key", data: { key: { type: "qcode", data: "ctrl" }, down: true } },
      { type: "key", data: { key: { type: "qcode", data: "pause" }, down: false } },
    ],
  }]]);
});

Deno.test("QmpKeyboard carries typed text", async () => {
  const { sent, keyboard } = recorder();
  await typeText(keyboard, "A\n", { paceMs: 0 });
  const log = sent.flatMap(([, { events }]) =>
    events.map((event) =>
      event.type === "key" ? (event.data.down ? "+" : "-") + event.data.key.data : "?"
    )
  );
  assertEquals(log.join(" "), "+shift +a -a -shift +ret -ret");
});
