/**
 * A guest's agent for tests, behind the main channel of a fake server.
 *
 * It knows nothing of `lib/spice`, so that a mistake there is not made twice.
 */
import { type FakeConnection, join, le } from "./spice_server.ts";

/** Bits of the capabilities that a Linux guest's agent announces: spice-vdagent 0.22.1. */
export const LINUX_CAPS = 0x0003_8de7;

/** Returns a message of the agent's stream. */
export function agentMessage(
  type: number,
  body: Uint8Array = new Uint8Array(),
  lie: { protocol?: number; size?: number } = {},
): Uint8Array {
  const head = le([4, lie.protocol ?? 1], [4, type], [8, 0], [4, lie.size ?? body.length]);
  return join(head, body);
}

/** The agent's end of one main channel. */
export class FakeAgent {
  readonly #connection: FakeConnection;
  /** AGENT_DATA messages that the client has sent. */
  pieces = 0;
  /** The largest of them. */
  largest = 0;

  constructor(connection: FakeConnection) {
    this.#connection = connection;
  }

  /** Sends bytes of the agent's stream, at most `pieceBytes` in each AGENT_DATA. */
  async write(bytes: Uint8Array, pieceBytes = 2048): Promise<void> {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      await this.#connection.send(109, bytes.subarray(at, at + pieceBytes));
    }
  }

  /** Sends a message of the agent's stream. */
  send(type: number, ...fields: Uint8Array[]): Promise<void> {
    return this.write(agentMessage(type, join(...fields)));
  }

  /** Sends a message of the main channel. */
  sendMain(type: number, body?: Uint8Array): Promise<void> {
    return this.#connection.send(type, body);
  }

  /** Gives the client tokens. */
  grant(count: number): Promise<void> {
    return this.sendMain(110, le([4, count]));
  }

  /** Takes AGENT_START; returns its tokens. */
  async receiveStart(): Promise<number> {
    const { type, body } = await this.#connection.receive();
    if (type !== 106) throw new Error(`Expected AGENT_START, got message ${type}`);
    return new DataView(body.buffer).getUint32(0, true);
  }

  /** Takes one AGENT_DATA of the client. */
  async receivePiece(): Promise<Uint8Array> {
    const { type, body } = await this.#connection.receive();
    if (type !== 107) throw new Error(`Expected AGENT_DATA, got message ${type}`);
    this.pieces++;
    this.largest = Math.max(this.largest, body.length);
    return body;
  }

  /** Takes the client's next message; returns each token that it cost, unless told not to. */
  async receive(
    options: { keepTokens?: boolean } = {},
  ): Promise<{ type: number; body: Uint8Array }> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for (let size = 20; length < size;) {
      const piece = await this.receivePiece();
      if (!options.keepTokens) await this.grant(1);
      if (parts.length === 0) {
        size += new DataView(piece.buffer, piece.byteOffset).getUint32(16, true);
      }
      parts.push(piece);
      length += piece.length;
    }
    const whole = join(...parts);
    const view = new DataView(whole.buffer);
    if (view.getUint32(0, true) !== 1) throw new Error("The client's message has no head");
    return { type: view.getUint32(4, true), body: whole.subarray(20) };
  }

  /** Sends ANNOUNCE_CAPABILITIES. */
  announce(caps: number, request: 0 | 1 = 0): Promise<void> {
    return this.send(6, le([4, request], [4, caps]));
  }

  /** Greets the client as a real agent does; returns the capabilities that the client announced. */
  async greet(caps = LINUX_CAPS): Promise<number> {
    await this.receiveStart();
    const { type, body } = await this.receive();
    if (type !== 6) throw new Error(`Expected ANNOUNCE_CAPABILITIES, got type ${type}`);
    await this.announce(caps);
    if (caps >>> 10 & 1) await this.receive(); // MAX_CLIPBOARD
    return new DataView(body.buffer, body.byteOffset).getUint32(4, true);
  }

  /** Ends the connection. */
  close(): void {
    this.#connection.close();
  }
}
