/**
 * Checks of the values for which QEMU has no way to escape: names that it looks up, and text that it
 * takes apart by itself. Everything else is escaped in `option.ts`.
 */
import { BundleError } from "../base/errors.ts";
import { quoted } from "../base/text.ts";
import { parseIpv4 } from "./ipv4.ts";

/**
 * Returns `name` if QEMU can take it for nothing but a name: of a device, a machine, a CPU or one of
 * its features.
 *
 * `-cpu` cannot escape a comma, `-machine` cannot in its first word, `=` in a first word makes it a
 * property, `{` in front makes the argument JSON, and `help` ends QEMU with status 0; so none of them
 * is let through.
 *
 * @param key The key path that it comes from.
 * @throws {BundleError} It holds another character.
 */
export function checkedName(name: string, key: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/.test(name) && name !== "help") return name;
  throw new BundleError(
    `Cannot use ${key}: it is ${quoted(name)}, expected a name of letters, digits and _ . + -`,
    { hint: "Correct it in UTM's settings of this VM, or in config.plist." },
  );
}

/**
 * Returns `address` if it is an IPv4 address, or empty. The text of `hostfwd=` has `:` and `-` between
 * its parts, and QEMU takes no names there.
 *
 * @param key The key path that it comes from.
 * @throws {BundleError} It is something else.
 */
export function checkedAddress(address: string, key: string): string {
  if (address === "" || parseIpv4(address) !== undefined) return address;
  throw new BundleError(
    `Cannot use ${key}: it is ${quoted(address)}, expected an IPv4 address such as 127.0.0.1`,
  );
}
