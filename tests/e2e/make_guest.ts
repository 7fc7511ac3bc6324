/** Makes bundles around guests that are too big for this repository, each in a folder of its own. */
import { basename, join } from "@std/path";
import { exists } from "./utmost.ts";

/** What a guest made here consists of, besides one serial port. */
export interface GuestParts {
  name: string;
  architecture: "x86_64" | "aarch64";
  memoryMiB: number;
  /** Files of this host that are copied into the bundle, and what they are there. */
  images: readonly { path: string; type: "BIOS" | "LinuxKernel" | "LinuxInitrd" }[];
  /** AdditionalArguments. */
  arguments: readonly string[];
  uefi: boolean;
  /** The display's adapter; none when left out. */
  display?: string;
}

/** A bundle that is gone once it is disposed of. */
export class Guest implements AsyncDisposable {
  /** The bundle. */
  readonly path: string;
  readonly #folder: string;

  /** @param folder A temporary folder, which this guest now owns. */
  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.path = join(folder, `${name}.utm`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** Makes the bundle of a guest. */
export async function makeGuest(parts: GuestParts): Promise<Guest> {
  const guest = new Guest(await Deno.makeTempDir({ prefix: "utmost-e2e-guest-" }), parts.name);
  try {
    await Deno.mkdir(join(guest.path, "Data"), { recursive: true });
    for (const { path } of parts.images) {
      await Deno.copyFile(path, join(guest.path, "Data", basename(path)));
    }
    await Deno.writeTextFile(join(guest.path, "config.plist"), plist(configuration(parts)));
    return guest;
  } catch (error) {
    await guest[Symbol.asyncDispose]();
    throw error;
  }
}

/** Debian's installer for one architecture: a Linux that is ready to boot. */
export interface Installer {
  kernel: string;
  initrd: string;
}

/** Finds the installer that a Debian package brings; undefined where it is not installed. */
export async function findInstaller(debian: "amd64" | "arm64"): Promise<Installer | undefined> {
  const releases = "/usr/lib/debian-installer/images";
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(releases)) names.push(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  names.sort((a, b) => Number(b) - Number(a));
  for (const name of names) {
    const folder = join(releases, name, debian, "text", "debian-installer", debian);
    const installer = { kernel: join(folder, "linux"), initrd: join(folder, "initrd.gz") };
    if (await exists(installer.kernel) && await exists(installer.initrd)) return installer;
  }
  return undefined;
}

type Plist = string | number | boolean | readonly Plist[] | { [key: string]: Plist };

/** A configuration of version 4 as UTM writes it. */
function configuration(parts: GuestParts): Plist {
  const x86 = parts.architecture === "x86_64";
  return {
    Backend: "QEMU",
    ConfigurationVersion: 4,
    Display: parts.display === undefined ? [] : [{
      Hardware: parts.display,
      DynamicResolution: false,
      NativeResolution: false,
      DownscalingFilter: "Linear",
      UpscalingFilter: "Nearest",
    }],
    Drive: parts.images.map(({ path, type }) => ({
      Identifier: crypto.randomUUID().toUpperCase(),
      ImageName: basename(path),
      ImageType: type,
      Interface: "None",
      InterfaceVersion: 1,
      ReadOnly: true,
    })),
    Information: {
      IconCustom: false,
      Name: parts.name,
      UUID: crypto.randomUUID().toUpperCase(),
    },
    Input: { MaximumUsbShare: 3, UsbBusSupport: "Disabled", UsbSharing: false },
    Network: [],
    QEMU: {
      AdditionalArguments: parts.arguments,
      BalloonDevice: false,
      DebugLog: false,
      Hypervisor: true,
      PS2Controller: false,
      RNGDevice: true,
      RTCLocalTime: false,
      TPMDevice: false,
      TSO: false,
      UEFIBoot: parts.uefi,
    },
    Serial: [{ Mode: "Terminal", Target: "Auto", Terminal: TERMINAL }],
    Sharing: {
      ClipboardSharing: false,
      DirectoryShareMode: "None",
      DirectoryShareReadOnly: false,
    },
    Sound: [],
    System: {
      Architecture: parts.architecture,
      CPU: "default",
      CPUCount: 1,
      CPUFlagsAdd: [],
      CPUFlagsRemove: [],
      ForceMulticore: false,
      JITCacheSize: 0,
      MemorySize: parts.memoryMiB,
      Target: x86 ? "q35" : "virt",
    },
  };
}

/** What UTM puts into a new serial port. */
const TERMINAL: Plist = {
  BackgroundColor: "#000000",
  CursorBlink: true,
  Font: "Menlo",
  FontSize: 12,
  ForegroundColor: "#ffffff",
  Theme: "Default",
};

/** An XML property list. */
function plist(root: Plist): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">${element(root)}</plist>
`;
}

function element(value: Plist): string {
  if (typeof value === "boolean") return value ? "<true/>" : "<false/>";
  if (typeof value === "number") return `<integer>${value}</integer>`;
  if (typeof value === "string") return `<string>${escape(value)}</string>`;
  if (Array.isArray(value)) return `<array>${value.map(element).join("")}</array>`;
  const entries = Object.entries(value as { [key: string]: Plist })
    .map(([key, entry]) => `<key>${escape(key)}</key>${element(entry)}`);
  return `<dict>${entries.join("\n")}</dict>`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
