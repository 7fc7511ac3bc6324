/** A QMP server for tests: a real Unix socket, and a script in place of QEMU. */

const GREETING = {
  QMP: {
    version: { qemu: { micro: 3, minor: 2, major: 7 }, package: "Fake 1:7.2" },
    capabilities: ["oob"],
  },
};

/** A request as it came. */
export interface FakeRequest {
  execute: string;
  arguments?: Record<string, unknown>;
  id: unknown;
}

/** The server's end of one connection. */
export class FakeQmpPeer implements Disposable {
  /** Write replies byte by byte, each in a write of its own. */
  slowly = false;
  readonly #conn: Deno.Conn;
  #received = "";

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** Sends a message as QEMU does, with CR LF behind it. */
  async send(message: unknown): Promise<void> {
    await this.sendText(`${JSON.stringify(message)}\r\n`);
  }

  /** Sends text as it is. */
  async sendText(text: string): Promise<void> {
    await this.sendBytes(new TextEncoder().encode(text));
  }

  /** Sends bytes as they are. */
  async sendBytes(bytes: Uint8Array): Promise<void> {
    const step = this.slowly ? 1 : bytes.length;
    for (let offset = 0; offset < bytes.length;) {
      offset += await this.#conn.write(bytes.subarray(offset, offset + step));
    }
  }

  /** The next request, or null once the client is gone. */
  async receive(): Promise<FakeRequest | null> {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(65536);
    for (;;) {
      const end = this.#received.indexOf("\n");
      if (end >= 0) {
        const line = this.#received.slice(0, end);
        this.#received = this.#received.slice(end + 1);
        return JSON.parse(line);
      }
      const count = await this.#conn.read(buffer);
      if (count === null) return null;
      this.#received += decoder.decode(buffer.subarray(0, count), { stream: true });
    }
  }

  /** The next request, which must be `command`. */
  async expect(command: string): Promise<FakeRequest> {
    const request = await this.receive();
    if (request?.execute !== command) {
      throw new Error(`Expected ${command}, got ${JSON.stringify(request)}`);
    }
    return request;
  }

  /** Greets and takes part in the negotiation. */
  async negotiate(): Promise<void> {
    await this.send(GREETING);
    const { id } = await this.expect("qmp_capabilities");
    await this.send({ return: {}, id });
  }

  /** Answers one command with `result`. */
  async answer(command: string, result: unknown): Promise<void> {
    const { id } = await this.expect(command);
    await this.send({ return: result, id });
  }

  [Symbol.dispose](): void {
    try {
      this.#conn.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}

/** A folder with a socket in it on which {@linkcode FakeQmpPeer}s come in. */
export class FakeQmpServer implements AsyncDisposable {
  readonly path: string;
  readonly #folder: string;
  readonly #listener: Deno.UnixListener;

  private constructor(folder: string) {
    this.#folder = folder;
    this.path = `${folder}/qmp.sock`;
    this.#listener = Deno.listen({ transport: "unix", path: this.path });
  }

  static async start(): Promise<FakeQmpServer> {
    return new FakeQmpServer(await Deno.makeTempDir({ prefix: "utmost-qmp-" }));
  }

  /** A client's end that is not attached yet, and the server's end. */
  async pair(): Promise<{ conn: Deno.Conn; peer: FakeQmpPeer }> {
    const [conn, accepted] = await Promise.all([
      Deno.connect({ transport: "unix", path: this.path }),
      this.#listener.accept(),
    ]);
    return { conn, peer: new FakeQmpPeer(accepted) };
  }

  /** The next connection. */
  async accept(): Promise<FakeQmpPeer> {
    return new FakeQmpPeer(await this.#listener.accept());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await Deno.remove(this.#folder, { recursive: true });
  }
}
