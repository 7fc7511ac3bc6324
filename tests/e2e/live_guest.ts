/** A guest under a QEMU of its own, for tests of what is on SPICE, QMP and the serial port. */
import { SerialPort } from "../../lib/guest/serial.ts";
import { QemuProcess } from "../../lib/qemu/process.ts";
import type { QmpClient } from "../../lib/qmp/client.ts";
import { acceptQmp } from "../../lib/qmp/connect.ts";

/** What QEMU is started with. */
export interface LiveGuestOptions {
  /** Arguments beside those for the three connections. */
  argv: readonly string[];
  /** `false`: without SPICE. */
  spice?: boolean;
  /** The QEMU; the installed one for x86_64 when left out. */
  binary?: string;
}

/** A running QEMU, with connections to it; disposing it ends QEMU. */
export class LiveGuest implements AsyncDisposable {
  readonly qmp: QmpClient;
  readonly serial: SerialPort;
  /** Where its SPICE server listens. */
  readonly spice: { path: string };
  readonly #owned: AsyncDisposable;

  private constructor(qmp: QmpClient, serial: SerialPort, folder: string, owned: AsyncDisposable) {
    this.qmp = qmp;
    this.serial = serial;
    this.spice = { path: `${folder}/spice` };
    this.#owned = owned;
  }

  /** Starts QEMU; its guest runs already unless `argv` has `-S`. */
  static async start(options: LiveGuestOptions): Promise<LiveGuest> {
    await using stack = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir({ prefix: "utmost-e2e-live-" });
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    const [qmpPath, serialPath] = [`${folder}/qmp`, `${folder}/serial`];
    using serialListener = Deno.listen({ transport: "unix", path: serialPath });
    const qmpListener = Deno.listen({ transport: "unix", path: qmpPath }); // acceptQmp closes it
    const process = stack.use(QemuProcess.spawn({
      binary: options.binary ?? "qemu-system-x86_64",
      argv: [
        ...["-accel", "tcg", "-nodefaults", "-display", "none"],
        ...["-chardev", `socket,id=qmp,path=${qmpPath}`, "-mon", "chardev=qmp,mode=control"],
        ...["-chardev", `socket,id=serial,path=${serialPath}`, "-serial", "chardev:serial"],
        ...options.spice === false
          ? []
          : ["-spice", `unix=on,addr=${folder}/spice,disable-ticketing=on`],
        ...options.argv,
      ],
    }));
    const client = stack.use(
      await acceptQmp(qmpListener, { gone: process.gone, timeoutMs: 20_000 }),
    );
    const port = stack.use(new SerialPort(await serialListener.accept()));
    process.confirmUp();
    return new LiveGuest(client, port, folder, stack.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned[Symbol.asyncDispose]();
  }
}
