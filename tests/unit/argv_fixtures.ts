/** Configurations, files, hosts and options for tests of UTM's rules. */
import type { BundleFiles, Config, Drive, Network, Serial } from "../../lib/utm/model.ts";
import { utmOptions } from "../../lib/qemu/argv.ts";
import type { Host } from "../../lib/qemu/host_model.ts";
import type { CommandOptions } from "../../lib/qemu/launch_options.ts";
import { type QemuOption, toArgv } from "../../lib/qemu/option.ts";

/** Parts of a configuration to change; arrays replace those of the default. */
export type ConfigParts = {
  [K in keyof Config]?: Config[K] extends unknown[] ? Config[K] : Partial<Config[K]>;
};

/** A q35 machine with nothing on it, and `parts`. */
export function config(parts: ConfigParts = {}): Config {
  return {
    sourceVersion: 4,
    dataFolder: "Data",
    information: {
      name: "Test",
      iconCustom: false,
      uuid: "0A1B2C3D-0000-4000-8000-00000000ABCD",
      ...parts.information,
    },
    system: {
      architecture: "x86_64",
      target: "q35",
      cpu: "default",
      cpuFlagsAdd: [],
      cpuFlagsRemove: [],
      cpuCount: 0,
      forceMulticore: false,
      memorySize: 512,
      jitCacheSize: 0,
      ...parts.system,
    },
    qemu: {
      debugLog: false,
      uefiBoot: false,
      rngDevice: false,
      balloonDevice: false,
      tpmDevice: false,
      hypervisor: false,
      tso: false,
      rtcLocalTime: false,
      ps2Controller: false,
      additionalArguments: [],
      ...parts.qemu,
    },
    input: { usbBusSupport: "Disabled", usbSharing: false, maximumUsbShare: 0, ...parts.input },
    sharing: {
      directoryShareMode: "None",
      directoryShareReadOnly: false,
      clipboardSharing: false,
      ...parts.sharing,
    },
    displays: parts.displays ?? [],
    drives: parts.drives ?? [],
    networks: parts.networks ?? [],
    serials: parts.serials ?? [],
    sounds: parts.sounds ?? [],
  };
}

/** A display with UTM's other settings at rest. */
export function display(hardware: string, vgaRamMib?: number): Config["displays"][number] {
  return {
    hardware,
    dynamicResolution: false,
    upscalingFilter: "Nearest",
    downscalingFilter: "Linear",
    nativeResolution: false,
    ...(vgaRamMib === undefined ? {} : { vgaRamMib }),
  };
}

/** A virtio disk, and `parts`. */
export function drive(parts: Partial<Drive> = {}): Drive {
  return {
    imageType: "Disk",
    interface: "VirtIO",
    interfaceVersion: 1,
    identifier: "A",
    readOnly: false,
    external: false,
    ...parts,
  };
}

/** An e1000 in user mode, and `parts`. */
export function network(parts: Partial<Network> = {}): Network {
  return {
    mode: "Emulated",
    hardware: "e1000",
    macAddress: "52:54:00:00:00:01",
    isolateFromHost: false,
    portForward: [],
    ...parts,
  };
}

/** A terminal on the machine's own port, and `parts`. */
export function serial(parts: Partial<Serial> = {}): Serial {
  return {
    mode: "Terminal",
    target: "Auto",
    waitForConnection: false,
    remoteConnectionAllowed: false,
    ...parts,
  };
}

/** The files of `/vm/Test.utm`; every drive of `of` with an image name has a medium. */
export function files(of: Config, parts: Partial<BundleFiles> = {}): BundleFiles {
  const data = "/vm/Test.utm/Data";
  return {
    bundle: "/vm/Test.utm",
    media: of.drives.map((drive) =>
      drive.imageName === undefined
        ? undefined
        : { path: `${data}/${drive.imageName}`, format: "qcow2" as const }
    ),
    efiVars: `${data}/efi_vars.fd`,
    tpmState: `${data}/tpmdata`,
    ...parts,
  };
}

/** A Mac with UTM's QEMU, four performance cores and two others. */
export function mac(architecture: "aarch64" | "x86_64", parts: Partial<Host> = {}): Host {
  return {
    os: "darwin",
    architecture,
    flavor: "utm",
    cores: { physical: 6, logical: 6, performancePhysical: 4, performanceLogical: 4 },
    ...(architecture === "x86_64" ? { intelCpuModel: "Icelake-Server" } : {}),
    accelerators: {
      kvm: { usable: false, why: "not Linux" },
      hvf: { usable: true, why: "described" },
    },
    qemu: null,
    firmware: [],
    renderNodes: [],
    audio: [],
    swtpm: null,
    resources: "/res",
    ...parts,
  };
}

/** Nothing beyond the bundle, and `parts`. */
export function options(parts: Partial<CommandOptions> = {}): CommandOptions {
  return {
    accel: "auto",
    requireAccel: false,
    gl: "auto",
    hasShim: true,
    disposable: false,
    forwards: [],
    extraArguments: [],
    strict: false,
    allowPorts: false,
    allowNetwork: false,
    ...parts,
  };
}

/** How to build the options of a test; what is absent is the default. */
export interface Circumstances {
  host?: Host;
  options?: Partial<CommandOptions>;
  files?: Partial<BundleFiles>;
}

/** UTM's options for a configuration. */
export function built(vm: Config, circumstances: Circumstances = {}): QemuOption[] {
  return utmOptions(
    vm,
    files(vm, circumstances.files),
    circumstances.host ?? mac("aarch64"),
    options(circumstances.options),
  );
}

/** The options whose `from` starts with `from`, each as one line: flag, space, argument. */
export function lines(vm: Config, from: string, circumstances: Circumstances = {}): string[] {
  return built(vm, circumstances)
    .filter((option) => option.from.startsWith(from))
    .map((option) => toArgv([option]).join(" "));
}
