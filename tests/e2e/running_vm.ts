/** Looks at a VM that runs in a sandbox: its pictures, its serial port. */
import { decode } from "fast-png";
import { retry, withDeadline } from "../../lib/base/deadline.ts";
import { ControlClient } from "../../lib/vm/control.ts";
import type { DisplayReport } from "../../lib/vm/screen.ts";
import { isNotFound, type RunEvent, type Sandbox } from "./sandbox.ts";
import { differenceOf, parsePpm, type PlainPicture } from "./screen_rig.ts";

/** The picture in a PNG file. */
export async function readPng(path: string): Promise<PlainPicture> {
  const { width, height, data, channels } = decode(await Deno.readFile(path));
  const pixels = new Uint32Array(width * height);
  for (let i = 0, at = 0; i < pixels.length; i++, at += channels) {
    pixels[i] = (data[at]! << 16) | (data[at + 1]! << 8) | data[at + 2]!;
  }
  return { width, height, pixels };
}

/** How many colours a picture has: 1 is an empty screen. */
export function colorsOf({ pixels }: PlainPicture): number {
  return new Set(pixels).size;
}

/** Waits until the guest has written a text to its serial port. */
export async function serialSays(sandbox: Sandbox, id: string, text: string): Promise<void> {
  await using client = await ControlClient.connect(sandbox.path("run", "utmost", id, "control"));
  const said = Promise.withResolvers<void>();
  const decoder = new TextDecoder();
  let all = "";
  client.onNotification((method, params) => {
    if (method !== "serial") return;
    const bytes = Uint8Array.fromBase64((params as { data: string }).data);
    all += decoder.decode(bytes, { stream: true });
    if (all.includes(text)) said.resolve();
  });
  await client.call("serial", { replay: true });
  await withDeadline(`${text} on the serial port`, () => said.promise, { timeoutMs: 30_000 });
}

/** A VM in a sandbox, by its id. */
export class RunningVm {
  readonly id: string;
  readonly #sandbox: Sandbox;
  #pictures = 0;

  constructor(sandbox: Sandbox, id: string) {
    this.#sandbox = sandbox;
    this.id = id;
  }

  /** Starts a bundle, with options for `run`, and leaves it once its serial port says `expect`. */
  static async boot(
    sandbox: Sandbox,
    bundle: string,
    expect: string,
    ...args: string[]
  ): Promise<RunningVm> {
    const steps = ["--expect", expect, "--then", "leave", "--timeout", "120s"];
    const { id } = await sandbox.json(["run", bundle, ...steps, ...args]) as { id: string };
    return new RunningVm(sandbox, id);
  }

  /**
   * What is on a display, as it came through SPICE: `utmost screenshot`.
   *
   * @throws {Deno.errors.NotFound} when nothing is shown.
   */
  async picture(display = 0): Promise<PlainPicture> {
    const path = this.#sandbox.path(`picture-${this.id}-${++this.#pictures}.png`);
    const args = ["screenshot", this.id, path, "--display", String(display)];
    const saved = await this.#sandbox.json(args).catch((error: Error) => {
      // While a guest changes its mode nothing is shown for a moment, and QEMU has no picture either.
      if (error.message.includes("no surface")) throw new Deno.errors.NotFound(error.message);
      throw error;
    }) as { source: string };
    // A picture by way of QMP would be right, too, and show nothing of what is tested.
    if (saved.source !== "spice") {
      throw new Deno.errors.NotFound(`the picture came by ${saved.source}`);
    }
    return await readPng(path);
  }

  /** What QEMU itself takes for the display's picture. */
  async screendump(): Promise<PlainPicture> {
    const path = this.#sandbox.path(`dump-${this.id}.ppm`);
    await this.qmp("screendump", { filename: path });
    return parsePpm(await Deno.readFile(path));
  }

  /** The displays as the supervisor reports them. */
  async displays(): Promise<DisplayReport[]> {
    return await this.#call("displays") as DisplayReport[];
  }

  /** The one display, once it has answered every draw and `isThere` holds; 10 s at most. */
  async display(isThere: (display: DisplayReport) => boolean = () => true): Promise<DisplayReport> {
    return await retry("the display's state", async () => {
      const [display] = await this.displays();
      const { draws, acks } = display!.gl;
      if (draws === acks && isThere(display!)) return display!;
      throw new Deno.errors.NotFound(JSON.stringify(display));
    }, {
      timeoutMs: 10_000,
      canSucceedLater: isNotFound,
    });
  }

  /**
   * Waits for the picture that is expected, every pixel of it.
   *
   * @param options.tolerance By how much a channel may differ; 0 when left out.
   */
  async shows(
    expected: PlainPicture,
    { timeoutMs = 10_000, tolerance = 0 }: { timeoutMs?: number; tolerance?: number } = {},
  ): Promise<void> {
    await retry("the expected picture", async () => {
      const difference = differenceOf(await this.picture(), expected, tolerance);
      if (difference !== undefined) throw new Deno.errors.NotFound(difference);
    }, { timeoutMs, canSucceedLater: isNotFound });
  }

  /** The process ids of the supervisor and of QEMU. */
  async processes(): Promise<{ supervisor: number; qemu: number }> {
    const status = await this.#sandbox.json(["status", this.id]);
    const { pid, qemuPid } = status as { pid: number; qemuPid: number };
    return { supervisor: pid, qemu: qemuPid };
  }

  /** Every event so far. */
  async events(): Promise<RunEvent[]> {
    return (await this.#sandbox.json(["log", this.id]) as { events: RunEvent[] }).events;
  }

  /** Executes a QMP command. */
  async qmp(execute: string, args: Record<string, unknown> = {}): Promise<unknown> {
    const command = JSON.stringify({ execute, arguments: args });
    return await this.#sandbox.json(["qmp", this.id, command]);
  }

  /** Sends a line to the serial port. */
  async send(line: string): Promise<void> {
    await this.#sandbox.json(["send", this.id, `${line}\\n`]);
  }

  /** Waits until the guest has ever written a text to its serial port. */
  async says(text: string): Promise<void> {
    await serialSays(this.#sandbox, this.id, text);
  }

  /** Runs a verb, such as `pause`. */
  async verb(verb: string, ...args: string[]): Promise<void> {
    await this.#sandbox.json([verb, this.id, ...args]);
  }

  async #call(method: string): Promise<unknown> {
    const control = this.#sandbox.path("run", "utmost", this.id, "control");
    await using client = await ControlClient.connect(control);
    return await client.call(method);
  }
}
