/** An attached session whose guest has an agent: what the tests of both start with. */
import { type AgentEvent, SpiceAgent } from "../../lib/spice/agent.ts";
import { SpiceSession } from "../../lib/spice/session.ts";
import { FakeAgent, LINUX_CAPS } from "../fakes/spice_agent.ts";
import {
  channelsList,
  type FakeServerOptions,
  FakeSpiceServer,
  framed,
  le,
  SESSION_ID,
} from "../fakes/spice_server.ts";

/** Main's INIT; mouse mode 1 is all there is, so that none is asked for. */
function init(agentConnected: number, tokens: number): Uint8Array {
  return framed(
    103,
    le([4, SESSION_ID], [4, 1], [4, 1], [4, 1], [4, agentConnected], [4, tokens], [4, 0], [4, 0]),
  );
}

/** A session, its agent as the client sees it, and the guest's end of it. */
export class AgentRig implements AsyncDisposable {
  private constructor(
    readonly server: FakeSpiceServer,
    readonly session: SpiceSession,
    readonly agent: SpiceAgent,
    readonly guest: FakeAgent,
    readonly events: AgentEvent[],
  ) {}

  /** Attaches to a server whose guest has an agent unless told otherwise. */
  static async start(
    options: { connected?: boolean; tokens?: number } & FakeServerOptions = {},
  ): Promise<AgentRig> {
    const { connected = true, tokens = 10, ...others } = options;
    const guest = Promise.withResolvers<FakeAgent>();
    const over = Promise.withResolvers<void>();
    const server = await FakeSpiceServer.start({
      ...others,
      main: async (connection) => {
        await connection.write(init(Number(connected), tokens));
        await connection.receive(); // ATTACH_CHANNELS
        await connection.write(channelsList());
        guest.resolve(new FakeAgent(connection));
        await over.promise;
      },
    });
    const events: AgentEvent[] = [];
    const agent = new SpiceAgent({ onEvent: (event) => events.push(event) });
    const session = await SpiceSession.connect(server.target, {
      onMain: (link) => agent.handlers(link),
    });
    session.closed.then(() => over.resolve());
    return new AgentRig(server, session, agent, await guest.promise, events);
  }

  /** Attaches, and lets both agents greet. */
  static async greeted(caps = LINUX_CAPS): Promise<AgentRig> {
    const rig = await AgentRig.start();
    await rig.guest.greet(caps);
    await rig.agent.connected();
    return rig;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}
