/** The drives of a v4 configuration, and the identifiers that name them. */
import { BundleError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import { type DictReader, optional } from "./config_reader.ts";
import { DRIVE_INTERFACES, IMAGE_TYPES } from "./enums.ts";
import type { Drive } from "./model.ts";
import { INTERFACE_VERSION } from "./value_rules.ts";

/** Reads `Drive`. A drive without `ImageName` is an external one, as UTM writes it. */
export function readDrives(sections: DictReader[]): Drive[] {
  const identifiers = readIdentifiers(sections);
  return sections.map((section, index) => {
    const imageName = section.text("ImageName", optional(undefined));
    const external = imageName === undefined;
    return {
      ...(external ? {} : { imageName }),
      imageType: section.choice("ImageType", IMAGE_TYPES),
      interface: section.choice("Interface", DRIVE_INTERFACES),
      interfaceVersion: section.integer("InterfaceVersion", INTERFACE_VERSION, optional(0)),
      identifier: identifiers[index]!,
      readOnly: section.flag("ReadOnly", optional(external)),
      external,
    };
  });
}

/** What QEMU takes behind `drive` in an id. Source: QEMU util/id.c, id_wellformed. */
const SAFE_IDENTIFIER = /^[A-Za-z0-9._-]{1,128}$/;

/**
 * The identifiers, unique and fit for QEMU: where one is not, a replacement is reported.
 *
 * @throws {BundleError} for the same identifier twice.
 */
function readIdentifiers(sections: DictReader[]): string[] {
  const stored = sections.map((section) => section.text("Identifier", optional("")));
  refuseDuplicates(stored);
  const taken = new Set(stored.filter((identifier) => SAFE_IDENTIFIER.test(identifier)));
  return stored.map((identifier, index) => {
    if (SAFE_IDENTIFIER.test(identifier)) return identifier;
    const base = identifier === ""
      ? String(index)
      : identifier.replace(/[^A-Za-z0-9._-]/g, "_").slice(0, 120);
    let safe = base;
    for (let suffix = 2; taken.has(safe); suffix++) safe = `${base}-${suffix}`;
    taken.add(safe);
    sections[index]!.warn(
      "Identifier",
      identifier === ""
        ? `is missing, ${quoted(safe)} is used`
        : `is ${quoted(identifier)}, which QEMU does not take for an id, ${quoted(safe)} is used`,
    );
    return safe;
  });
}

/**
 * Refuses the same identifier twice; empty ones are given another later.
 *
 * @throws {BundleError} naming both drives.
 */
export function refuseDuplicates(
  identifiers: readonly string[],
  section = "Drive",
  key = "Identifier",
): void {
  const first = new Map<string, number>();
  for (const [index, identifier] of identifiers.entries()) {
    const other = first.get(identifier);
    if (other !== undefined && identifier !== "") {
      throw new BundleError(
        `Cannot read ${section}[${index}].${key}: it is ${quoted(identifier)}, ` +
          `which ${section}[${other}] has too, expected a name of its own`,
        { hint: "QEMU tells drives apart by it; change one of the two in config.plist" },
      );
    }
    first.set(identifier, index);
  }
}
