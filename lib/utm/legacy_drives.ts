/** The drives of versions 0 to 2. Source: UTM 5.0.3, `UTMQemuConfigurationDrive.swift`. */
import { quoted } from "../base/text.ts";
import { refuseDuplicates } from "./config_drives.ts";
import { type DictReader, optional } from "./config_reader.ts";
import { DRIVE_INTERFACES } from "./enums.ts";
import type { Drive, ImageType } from "./model.ts";

const IMAGE_TYPES: Readonly<Record<string, ImageType>> = {
  none: "None",
  disk: "Disk",
  cd: "CD",
  bios: "BIOS",
  kernel: "LinuxKernel",
  initrd: "LinuxInitrd",
  dtb: "LinuxDTB",
};

/** Names that UTM keeps; with a single other one it numbers all drives anew. */
const VALID_NAME = /^([A-Za-z][A-Za-z0-9._-]*)?$/;

/** Reads `Drives`; the old variable store, once a drive among others, is not one any more. */
export function readLegacyDrives(sections: DictReader[]): Drive[] {
  const names = readNames(sections);
  const drives = sections.flatMap((section, index) => {
    const drive = readDrive(section, names[index]!, index);
    return drive === undefined ? [] : [drive];
  });
  refuseDuplicates(drives.map((drive) => drive.identifier), "Drives", "DriveName");
  return drives;
}

function readNames(sections: DictReader[]): string[] {
  const names = sections.map((section) => section.text("DriveName", optional(undefined)));
  if (names.every((name) => name !== undefined && VALID_NAME.test(name))) return names as string[];
  return names.map((_, index) => `drive${index}`);
}

function readDrive(section: DictReader, name: string, index: number): Drive | undefined {
  const cdrom = section.flag("Cdrom", optional(false));
  const type = section.text("ImageType", optional(cdrom ? "cd" : "disk"));
  const bus = section.text("InterfaceType", optional("none"));
  const external = section.flag("Removable", optional(false));
  const imageName = section.filledText("ImagePath");
  if (imageName === "efi_vars.fd") return undefined;
  if (!Object.hasOwn(IMAGE_TYPES, type)) {
    section.warn("ImageType", `is ${quoted(type)}, which UTM does not know, Disk is used`);
  }
  return {
    ...(external || imageName === undefined ? {} : { imageName }),
    imageType: Object.hasOwn(IMAGE_TYPES, type) ? IMAGE_TYPES[type]! : "Disk",
    interface: DRIVE_INTERFACES.find((known) => known.toLowerCase() === bus) ?? "None",
    interfaceVersion: 0,
    identifier: name.replace(/^drive/, "") || `unnamed${index}`,
    readOnly: external,
    external,
  };
}
