/**
 * Finds UEFI firmware: by the descriptors that firmware packages install for QEMU, and behind these
 * in the places where distributions keep it.
 *
 * Source: QEMU docs/interop/firmware.json.
 */
import type { HostAccess } from "./host_access.ts";
import type { Firmware } from "./host_model.ts";

/** A descriptor that is of no use, and why. */
export interface FirmwareFault {
  source: string;
  /** One clause. */
  why: string;
}

/** What {@linkcode findFirmware} found. */
export interface FirmwareScan {
  /** Best first: descriptors by file name, then the usual places. */
  found: Firmware[];
  faults: FirmwareFault[];
}

/**
 * Finds the UEFI firmware for guests of `architecture` (QMP's name).
 *
 * @param binary The QEMU in use: firmware that came with it lies in its `../share/qemu`.
 */
export function findFirmware(
  access: HostAccess,
  architecture: string,
  binary?: string,
): FirmwareScan {
  const scan: FirmwareScan = { found: [], faults: [] };
  const shares = shareFolders(binary);
  for (const path of descriptorPaths(access, shares)) {
    const text = access.readText(path) ?? "";
    if (text.trim() === "") continue; // an empty file switches the descriptor off
    const described = parseDescriptor(text, path);
    if (typeof described === "string") {
      scan.faults.push({ source: path, why: described });
    } else if (described?.architectures.includes(architecture)) {
      const missing = measure(access, described);
      if (missing === null) scan.found.push(described);
      else scan.faults.push({ source: path, why: `${missing} does not exist` });
    }
  }
  const known = new Set(scan.found.map((it) => access.realPath(it.code)));
  for (const place of usualPlaces(architecture, shares)) {
    const real = access.realPath(place.code);
    if (real === undefined || known.has(real) || measure(access, place) !== null) continue;
    known.add(real);
    scan.found.push(place);
  }
  return scan;
}

/** `share/qemu` of the binary's own prefix, then of the system. */
function shareFolders(binary: string | undefined): string[] {
  const prefix = binary === undefined ? null : /^(.*)\/[^/]+\/[^/]+$/.exec(binary)?.[1];
  const folders = ["/usr/share/qemu"];
  if (typeof prefix === "string") folders.unshift(`${prefix}/share/qemu`);
  return [...new Set(folders)];
}

/**
 * The descriptors, sorted by file name. A name in an earlier folder hides the same name in later
 * ones: so a user replaces one, or switches it off with an empty file or a link to /dev/null.
 */
function descriptorPaths(access: HostAccess, shares: string[]): string[] {
  const home = access.env("HOME");
  const config = access.env("XDG_CONFIG_HOME") || (home ? `${home}/.config` : undefined);
  const folders = [
    ...(config?.startsWith("/") ? [`${config}/qemu/firmware`] : []),
    "/etc/qemu/firmware",
    ...shares.toReversed().map((share) => `${share}/firmware`),
  ];
  const paths = new Map<string, string>();
  for (const folder of folders) {
    for (const name of access.list(folder)) {
      if (name.endsWith(".json") && !paths.has(name)) paths.set(name, `${folder}/${name}`);
    }
  }
  return [...paths].sort(([a], [b]) => a < b ? -1 : 1).map(([, path]) => path);
}

/**
 * Reads one descriptor, without sizes.
 *
 * @returns null when it describes something else than UEFI firmware, and text saying what is wrong
 * when it cannot be understood.
 */
export function parseDescriptor(text: string, source: string): Firmware | null | string {
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(text);
  } catch {
    return "it is not JSON";
  }
  const strings = (value: unknown): string[] =>
    Array.isArray(value) ? value.filter((it) => typeof it === "string") : [];
  const object = (value: unknown): Record<string, unknown> =>
    typeof value === "object" && value !== null ? value as Record<string, unknown> : {};

  json = object(json);
  if (!strings(json["interface-types"]).includes("uefi")) return null;
  const mapping = object(json.mapping);
  const device = mapping.device;
  if (device !== "flash" && device !== "memory") return null; // an image for -kernel
  const executable = device === "memory" ? mapping : object(mapping.executable);
  if (typeof executable.filename !== "string") return "it names no executable";
  const codeFormat = executable.format ?? "raw";
  if (codeFormat !== "raw" && codeFormat !== "qcow2") return "its image is neither raw nor qcow2";

  const targets = Array.isArray(json.targets) ? json.targets.map(object) : [];
  const features = strings(json.features);
  const firmware: Firmware = {
    source,
    architectures: targets.map((it) => it.architecture).filter((it) => typeof it === "string"),
    machines: targets.flatMap((it) => strings(it.machines)),
    code: executable.filename,
    codeFormat,
    codeBytes: 0,
    device,
    secureBoot: features.includes("secure-boot"),
    requiresSmm: features.includes("requires-smm"),
    enrolledKeys: features.includes("enrolled-keys"),
  };
  const separate = mapping.mode === undefined || mapping.mode === "split";
  const template = object(mapping["nvram-template"]);
  if (device === "flash" && separate) {
    if (typeof template.filename !== "string") return "it names no template for the variables";
    firmware.varsTemplate = template.filename;
    firmware.varsFormat = template.format === "qcow2" ? "qcow2" : "raw";
  }
  return firmware;
}

/** Fills in the sizes; returns the file that is missing, or null. */
function measure(access: HostAccess, firmware: Firmware): string | null {
  const code = access.stat(firmware.code);
  if (code?.kind !== "file") return firmware.code;
  firmware.codeBytes = code.bytes;
  if (firmware.varsTemplate === undefined) return null;
  const vars = access.stat(firmware.varsTemplate);
  if (vars?.kind !== "file") return firmware.varsTemplate;
  firmware.varsTemplateBytes = vars.bytes;
  return null;
}

/** Code and the template of its variables, without Secure Boot unless it is said. */
type Place = readonly [code: string, vars: string, secure?: "secure"];

/** Where distributions keep firmware, the 4 MiB builds that UTM's variables fit first. */
const USUAL_PLACES: Record<string, readonly Place[]> = {
  x86_64: [
    ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"], // Debian, Ubuntu
    ["/usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2", "/usr/share/edk2/ovmf/OVMF_VARS_4M.qcow2"], // Fedora
    ["/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"], // Arch
    ["/usr/share/qemu/ovmf-x86_64-4m-code.bin", "/usr/share/qemu/ovmf-x86_64-4m-vars.bin"], // openSUSE
    ["/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd", "secure"],
    [
      "/usr/share/edk2/ovmf/OVMF_CODE_4M.secboot.qcow2",
      "/usr/share/edk2/ovmf/OVMF_VARS_4M.secboot.qcow2",
      "secure",
    ],
    [
      "/usr/share/edk2/x64/OVMF_CODE.secboot.4m.fd",
      "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
      "secure",
    ],
    ["/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"],
    ["/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"],
  ],
  i386: [
    ["/usr/share/OVMF/OVMF32_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF32_VARS_4M.fd", "secure"],
    ["/usr/share/edk2/ia32/OVMF_CODE.4m.fd", "/usr/share/edk2/ia32/OVMF_VARS.4m.fd"],
    ["/usr/share/edk2/ovmf-ia32/OVMF_CODE.fd", "/usr/share/edk2/ovmf-ia32/OVMF_VARS.fd"],
  ],
  aarch64: [
    ["/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"],
    [
      "/usr/share/edk2/aarch64/QEMU_EFI-pflash.qcow2",
      "/usr/share/edk2/aarch64/vars-template-pflash.qcow2",
    ],
    [
      "/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw",
      "/usr/share/edk2/aarch64/vars-template-pflash.raw",
    ],
    ["/usr/share/edk2/aarch64/QEMU_CODE.fd", "/usr/share/edk2/aarch64/QEMU_VARS.fd"],
    ["/usr/share/qemu/aavmf-aarch64-code.bin", "/usr/share/qemu/aavmf-aarch64-vars.bin"],
  ],
  arm: [
    ["/usr/share/AAVMF/AAVMF32_CODE.fd", "/usr/share/AAVMF/AAVMF32_VARS.fd"],
    ["/usr/share/qemu/aavmf-aarch32-code.bin", "/usr/share/qemu/aavmf-aarch32-vars.bin"],
  ],
  riscv64: [
    [
      "/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd",
      "/usr/share/qemu-efi-riscv64/RISCV_VIRT_VARS.fd",
    ],
    ["/usr/share/edk2/riscv/RISCV_VIRT_CODE.fd", "/usr/share/edk2/riscv/RISCV_VIRT_VARS.fd"],
  ],
  loongarch64: [
    [
      "/usr/share/qemu-efi-loongarch64/QEMU_EFI.fd",
      "/usr/share/qemu-efi-loongarch64/QEMU_VARS.fd",
    ],
  ],
};

/** The images that come with QEMU itself: code by architecture, one variable store for two. */
const QEMU_OWN: Record<string, readonly Place[]> = {
  x86_64: [
    ["edk2-x86_64-code.fd", "edk2-i386-vars.fd"],
    ["edk2-x86_64-secure-code.fd", "edk2-i386-vars.fd", "secure"],
  ],
  i386: [
    ["edk2-i386-code.fd", "edk2-i386-vars.fd"],
    ["edk2-i386-secure-code.fd", "edk2-i386-vars.fd", "secure"],
  ],
  aarch64: [["edk2-aarch64-code.fd", "edk2-arm-vars.fd"]],
  arm: [["edk2-arm-code.fd", "edk2-arm-vars.fd"]],
  riscv64: [["edk2-riscv-code.fd", "edk2-riscv-vars.fd"]],
  loongarch64: [["edk2-loongarch64-code.fd", "edk2-loongarch64-vars.fd"]],
};

/** The usual places for one architecture, without sizes, whether or not they exist. */
function usualPlaces(architecture: string, shares: string[]): Firmware[] {
  const own = shares.flatMap((share) =>
    (QEMU_OWN[architecture] ?? []).map(([code, vars, secure]): Place => {
      const [codePath, varsPath] = [`${share}/${code}`, `${share}/${vars}`];
      return secure === undefined ? [codePath, varsPath] : [codePath, varsPath, secure];
    })
  );
  const flash = [...(USUAL_PLACES[architecture] ?? []), ...own].map((
    [code, varsTemplate, secure],
  ): Firmware => {
    const format = code.endsWith(".qcow2") ? "qcow2" : "raw";
    return {
      source: code,
      architectures: [architecture],
      machines: [],
      code,
      codeFormat: format,
      codeBytes: 0,
      varsTemplate,
      varsFormat: format,
      device: "flash",
      secureBoot: secure !== undefined,
      // On x86 edk2 protects the variables of a Secure Boot build by SMM.
      requiresSmm: secure !== undefined,
      enrolledKeys: false,
    };
  });
  if (architecture !== "aarch64") return flash;
  // Too short for a flash unit of 64 MiB, right for -bios; variables are then lost at power-off.
  const bios = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd";
  return [...flash, {
    source: bios,
    architectures: [architecture],
    machines: [],
    code: bios,
    codeFormat: "raw",
    codeBytes: 0,
    device: "memory",
    secureBoot: false,
    requiresSmm: false,
    enrolledKeys: false,
  }];
}
