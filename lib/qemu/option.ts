/**
 * QEMU options as data. UTM's rules make them, `adapt.ts` rewrites them, and here they become argv;
 * since values are escaped in this one place, no comma in a path or a name can add an option.
 *
 * Source: QEMU `util/keyval.c` and `util/qemu-option.c`: a comma inside a value is doubled.
 */

/** One `key=value` of an option. */
export type Property = readonly [key: string, value: string];

/** One QEMU option with its argument. */
export interface QemuOption {
  /** With its dash: `-device`. */
  readonly flag: string;
  /** The first word of the argument when it has no key: a driver, a back end, a machine. */
  readonly head?: string;
  /** In the order in which they are written. */
  readonly properties?: readonly Property[];
  /** Text in QEMU's own syntax, written behind the properties as it is (a user's overrides). */
  readonly suffix?: string;
  /** The whole argument, not split at commas by QEMU: `-m`, `-kernel`, `-append`. */
  readonly text?: string;
  /** The key path in config.plist that this comes from, such as `Drive[0]`; empty: a fixed part. */
  readonly from: string;
}

/** Doubles commas, so that QEMU reads `value` as one value. */
export function escapeValue(value: string): string {
  return value.replaceAll(",", ",,");
}

/** The argument of an option, or undefined where it takes none. */
export function argumentOf(option: QemuOption): string | undefined {
  if (option.text !== undefined) return option.text;
  const parts: string[] = [];
  if (option.head !== undefined) parts.push(escapeValue(option.head));
  for (const [key, value] of option.properties ?? []) parts.push(`${key}=${escapeValue(value)}`);
  if (option.suffix) parts.push(option.suffix);
  return parts.length === 0 ? undefined : parts.join(",");
}

/** Writes options as an argument list for QEMU, without the binary. */
export function toArgv(options: readonly QemuOption[]): string[] {
  return options.flatMap((option) => {
    const argument = argumentOf(option);
    return argument === undefined ? [option.flag] : [option.flag, argument];
  });
}

/** The value of a property, or undefined. */
export function property(option: QemuOption, key: string): string | undefined {
  return option.properties?.find(([name]) => name === key)?.[1];
}

/** A copy with one property set: in its place if it is there, else at the end. */
export function withProperty(option: QemuOption, key: string, value: string): QemuOption {
  const properties = [...(option.properties ?? [])];
  const index = properties.findIndex(([name]) => name === key);
  if (index < 0) properties.push([key, value]);
  else properties[index] = [key, value];
  return { ...option, properties };
}
