/** A Linux whose only program tells what its keyboards and mice report: `tests/rigs/input_probe.c`. */
import { fromFileUrl, join } from "@std/path";
import { withDeadline } from "../../lib/base/deadline.ts";
import { makeInitrd, program, readInitrd } from "./initrd.ts";
import { LiveGuest } from "./live_guest.ts";
import { exists } from "./utmost.ts";

const SOURCE = fromFileUrl(new URL("../rigs/input_probe.c", import.meta.url));
const RELEASES = "/usr/lib/debian-installer/images";
/** What drives the input devices of a PC, and its screen, as far as it is not in the kernel. */
const MODULES = new Set([
  ...["evdev", "psmouse", "hid", "hid-generic", "usbhid", "usb-common", "usbcore"],
  ...["xhci-hcd", "xhci-pci", "virtio", "virtio_ring", "virtio_pci", "virtio_input"],
  ...["virtio_pci_modern_dev", "virtio_pci_legacy_dev", "drm", "drm_kms_helper", "ttm"],
  ...["drm_shmem_helper", "drm_ttm_helper", "drm_vram_helper", "bochs"],
]);

/** An event of an input device, as linux/input.h has it. */
export interface InputEvent {
  /** The device's name. */
  device: string;
  type: number;
  code: number;
  value: number;
}

/** A kernel and an initial RAM disk in a folder of its own. */
export class InputGuestFiles implements AsyncDisposable {
  readonly kernel: string;
  readonly initrd: string;
  readonly #folder: string;

  private constructor(kernel: string, folder: string) {
    this.kernel = kernel;
    this.#folder = folder;
    this.initrd = join(folder, "initrd");
  }

  /** Makes them, with the kernel and drivers of Debian's graphical installer. */
  static async make(installer: string): Promise<InputGuestFiles> {
    const folder = await Deno.makeTempDir({ prefix: "utmost-e2e-probe-" });
    const files = new InputGuestFiles(join(installer, "linux"), folder);
    try {
      const built = join(folder, "probe");
      const { success, stderr } = await new Deno.Command("cc", {
        args: [
          "-D_GNU_SOURCE",
          "-std=c11",
          "-O1",
          "-Wall",
          "-Werror",
          "-static",
          "-o",
          built,
          SOURCE,
        ],
      }).output();
      if (!success) throw new Error(new TextDecoder().decode(stderr));
      const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);
      const modules = await readInitrd(
        join(installer, "initrd.gz"),
        (path) => MODULES.has(nameOf(path).replace(/\.ko(\.\w+)?$/, "")) && path.includes(".ko"),
      );
      const image = makeInitrd([
        program("init", await Deno.readFile(built)),
        ...modules.map((file) => ({ ...file, path: `modules/${nameOf(file.path)}` })),
      ]);
      await Deno.writeFile(files.initrd, image);
      return files;
    } catch (error) {
      await files[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** The folder of Debian's graphical installer; undefined where it is not installed. */
export async function findInstaller(): Promise<string | undefined> {
  if (!await exists(RELEASES)) return undefined;
  const names = [...Deno.readDirSync(RELEASES)].map(({ name }) => name);
  for (const name of names.sort((a, b) => Number(b) - Number(a))) {
    const folder = join(RELEASES, name, "amd64", "gtk", "debian-installer", "amd64");
    if (await exists(join(folder, "linux")) && await exists(join(folder, "initrd.gz"))) {
      return folder;
    }
  }
  return undefined;
}

/** A running guest, and what its input devices have reported. */
export class InputGuest implements AsyncDisposable {
  readonly live: LiveGuest;
  /** Every event so far, in order. */
  readonly events: InputEvent[] = [];
  /** Names of the devices, each with the ranges of its axes if it has such. */
  readonly devices: string[] = [];
  readonly #tap: Disposable;
  #text = "";
  #waiting = new Set<() => void>();

  private constructor(live: LiveGuest) {
    this.live = live;
    const decoder = new TextDecoder();
    this.#tap = live.serial.tap((bytes) => this.#take(decoder.decode(bytes)), true);
  }

  /** Boots a guest, and returns once devices of these names are there. */
  static async boot(
    files: InputGuestFiles,
    argv: readonly string[],
    devices: readonly string[],
  ): Promise<InputGuest> {
    const live = await LiveGuest.start({
      argv: [
        ...["-machine", "q35", "-m", "192", "-device", "VGA", ...argv],
        ...["-kernel", files.kernel, "-initrd", files.initrd],
        ...["-append", "quiet loglevel=3 console=tty0 video=1024x768"],
      ],
    });
    const guest = new InputGuest(live);
    try {
      await guest.until(
        () => devices.every((name) => guest.devices.some((device) => device.startsWith(name))),
        120_000,
      );
      return guest;
    } catch (error) {
      await guest[Symbol.asyncDispose]();
      throw error;
    }
  }

  #take(text: string): void {
    const lines = (this.#text + text).split(/\r?\n/);
    this.#text = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("device ")) this.devices.push(line.slice("device ".length));
      const [, device, ...numbers] = line.match(/^(.+): (\d+) (\d+) (-?\d+)$/) ?? [];
      if (device === undefined) continue;
      const [type = 0, code = 0, value = 0] = numbers.map(Number);
      this.events.push({ device, type, code, value });
    }
    for (const wake of this.#waiting) wake();
  }

  /** Waits until `isTrue`, which is asked whenever something was reported. */
  async until(isTrue: () => boolean, timeoutMs = 10_000): Promise<void> {
    const reached = Promise.withResolvers<void>();
    const check = () => isTrue() && reached.resolve();
    this.#waiting.add(check);
    try {
      check();
      await withDeadline("what the guest reports", () => reached.promise, { timeoutMs });
    } catch (error) {
      const last = this.events.slice(-20).map((event) => Object.values(event).join(" "));
      console.log([...this.devices, ...last, this.live.serial.tail()].join("\n"));
      throw error;
    } finally {
      this.#waiting.delete(check);
    }
  }

  /** Waits for `count` events since the last call, and returns them all, without their devices. */
  async next(count: number): Promise<[type: number, code: number, value: number][]> {
    await this.until(() => this.events.length >= count);
    return this.events.splice(0).map(({ type, code, value }) => [type, code, value]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#tap[Symbol.dispose]();
    await this.live[Symbol.asyncDispose]();
  }
}
