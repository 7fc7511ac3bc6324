/** The SPICE client as its docstring shows it. */
import { assertEquals, assertRejects } from "@std/assert";
import { openPort, SpiceAgent, SpiceError, SpiceSession } from "../../lib/spice_client.ts";
import { FakeSpiceServer } from "../fakes/spice_server.ts";

Deno.test("spice_client: a session of one's own, with an agent and ports", async () => {
  await using server = await FakeSpiceServer.start();
  const agent = new SpiceAgent();
  await using session = await SpiceSession.connect(server.target, {
    channels: [],
    onMain: (link) => agent.handlers(link),
  });
  assertEquals(session.channels, ["main"]);
  await assertRejects(() => agent.clipboard.offer({ text: "hello" }), SpiceError);
  await assertRejects(() => openPort(session, "org.example.port"), SpiceError, "no free port");
});
