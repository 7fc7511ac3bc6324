/** UEFI firmware: which of the host's images takes the place of UTM's. */
import { HostError } from "../base/errors.ts";
import { type Adapting, substitute } from "./adapt_context.ts";
import type { Firmware } from "./host_model.ts";
import { property, type QemuOption, withProperty } from "./option.ts";

/** Size of each flash unit of an Arm `virt` machine in bytes. Source: QEMU hw/arm/virt.c. */
const ARM_FLASH_BYTES = 64 * 1024 * 1024;

/** Which size of variables goes with which size of code, in bytes. Source: edk2's flash layouts. */
const CODE_BYTES: Readonly<Record<number, number>> = {
  540672: 3653632, // x86, 4 MiB
  131072: 1966080, // x86, 2 MiB
  67108864: ARM_FLASH_BYTES,
  33554432: 33554432, // riscv64
};

/** Packages with UEFI firmware, on Debian. */
const DEBIAN: Readonly<Record<string, string>> = {
  x86_64: "ovmf",
  i386: "ovmf-ia32",
  aarch64: "qemu-efi-aarch64",
  arm: "qemu-efi-arm",
  riscv64: "qemu-efi-riscv64",
  loongarch64: "qemu-efi-loongarch64",
};

/** What the choice of firmware means for the launch. */
export interface FirmwareChoice {
  options: QemuOption[];
  template?: string;
  templateFormat?: "raw" | "qcow2";
}

/** Whether an option is half of UTM's flash pair. */
function isFlash(option: QemuOption): boolean {
  return option.flag === "-drive" && option.from === "QEMU.UEFIBoot";
}

/**
 * Puts a firmware of the host in the place of UTM's.
 *
 * @throws {HostError} None fits.
 */
export function adaptFirmware(options: readonly QemuOption[], at: Adapting): FirmwareChoice {
  const pair = options.filter(isFlash);
  const [code, vars] = pair;
  if (code === undefined) return { options: [...options] };
  const secure = property(code, "file.filename")?.includes("-secure-code") ?? false;
  const firmware = chooseFirmware(secure, at);
  const isSecure = firmware.secureBoot;
  if (secure !== isSecure) {
    const [from, to] = secure ? ["Secure Boot", "plain UEFI"] : ["plain UEFI", "Secure Boot"];
    const why = `the host has no firmware ${secure ? "with" : "without"} Secure Boot that fits`;
    substitute(at, secure ? "QEMU.TPMDevice" : "QEMU.UEFIBoot", from, to, why);
  }
  if (firmware.device === "memory") {
    if (at.files.efiVarsBytes !== undefined) {
      const why = "the firmware of the host keeps its variables in memory";
      substitute(at, "QEMU.UEFIBoot", "efi_vars.fd", "", why);
    }
    const bios: QemuOption = { flag: "-bios", text: firmware.code, from: code.from };
    return { options: options.flatMap((it) => it === code ? [bios] : isFlash(it) ? [] : [it]) };
  }

  const newCode = withProperty(
    withProperty(code, "file.filename", firmware.code),
    "format",
    firmware.codeFormat,
  );
  const stateless = firmware.varsTemplate === undefined && at.files.efiVarsBytes === undefined;
  const result = options.flatMap((option): QemuOption[] => {
    if (option === code) return [newCode];
    if (option === vars) return stateless ? [] : [withProperty(option, "format", "raw")];
    if (option.flag === "-machine" && firmware.requiresSmm) {
      return [withProperty(option, "smm", "on")];
    }
    return [option];
  });
  if (firmware.requiresSmm) {
    result.splice(result.indexOf(newCode), 0, {
      flag: "-global",
      properties: [["driver", "cfi.pflash01"], ["property", "secure"], ["value", "on"]],
      from: code.from,
    });
  }
  if (at.files.efiVarsBytes !== undefined || firmware.varsTemplate === undefined) {
    return { options: result };
  }
  return {
    options: result,
    template: firmware.varsTemplate,
    ...(firmware.varsFormat === "qcow2" ? { templateFormat: "qcow2" } : {}),
  };
}

/** The first firmware that fits, Secure Boot as wished if there is one of that kind. */
function chooseFirmware(secure: boolean, at: Adapting): Firmware {
  const { config, host, files } = at;
  const { architecture } = config.system;
  const forMachine = host.firmware.filter((it) => isFor(it, at));
  const fitting = forMachine.filter((it) => takesVariables(it, files.efiVarsBytes));
  const wished = fitting.filter((it) => it.secureBoot === secure);
  // With variables of its own the bundle brings its keys; new ones are best with Microsoft's in them.
  const enrolled = wished.find((it) =>
    it.enrolledKeys === (secure && files.efiVarsBytes === undefined)
  );
  const [other] = fitting;
  const chosen = enrolled ?? wished[0] ?? other;
  if (chosen !== undefined) return chosen;

  const what = forMachine.length > 0
    ? `its variables have ${files.efiVarsBytes} bytes and no firmware of this host goes with them`
    : `there is no UEFI firmware for ${architecture} and the machine ${at.machine.fullName}`;
  const debian = DEBIAN[architecture];
  throw new HostError(`Cannot boot the guest with UEFI: ${what}, expected one that fits`, {
    hint: host.os === "darwin"
      ? "Homebrew's QEMU brings UEFI firmware along: brew install qemu"
      : debian === undefined
      ? "Install UEFI firmware for this architecture"
      : `Install the package ${debian} (apt install ${debian})`,
  });
}

function isFor(firmware: Firmware, { config, machine }: Adapting): boolean {
  const { architecture } = config.system;
  if (!firmware.architectures.includes(architecture)) return false;
  const names = [machine.fullName, machine.name];
  if (firmware.machines.length > 0 && !firmware.machines.some((it) => names.some(globTest(it)))) {
    return false;
  }
  const arm = architecture === "aarch64" || architecture === "arm";
  return !arm || firmware.device !== "flash" || firmware.codeBytes === ARM_FLASH_BYTES ||
    firmware.codeFormat === "qcow2"; // whose size on disk says nothing
}

/** Whether code and variables are of one layout. */
function takesVariables(firmware: Firmware, bytes: number | undefined): boolean {
  if (bytes === undefined || firmware.device === "memory") return true;
  if (firmware.varsTemplateBytes !== undefined && firmware.varsFormat !== "qcow2") {
    return firmware.varsTemplateBytes === bytes;
  }
  return firmware.codeFormat === "qcow2" || CODE_BYTES[bytes] === undefined ||
    CODE_BYTES[bytes] === firmware.codeBytes;
}

/** A test for names by a glob with `*` and `?`. Source: QEMU docs/interop/firmware.json. */
function globTest(glob: string): (name: string) => boolean {
  const pattern = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll(
    "?",
    ".",
  );
  const expression = new RegExp(`^${pattern}$`);
  return (name) => expression.test(name);
}
