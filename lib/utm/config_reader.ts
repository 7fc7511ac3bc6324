/**
 * Typed access to the dictionaries of a configuration: each value is either what was expected, a
 * default that is reported, or an error that names the key path, what is there and what was expected.
 */
import { BundleError } from "../base/errors.ts";
import { nearest, printable, quoted } from "../base/text.ts";
import { describeValue, type PlistDict, type PlistValue } from "./plist_value.ts";

/** Something in a configuration that UTM would not accept as it is, and what is done instead. */
export interface ConfigWarning {
  /** The key path, such as `Drive[0].Interface`. */
  key: string;
  /** A clause that stands for itself and names the key path: "System.CPU is missing, …". */
  message: string;
}

/** Collects what is said about one file. */
export class ConfigReport {
  /** What to call the file in errors. */
  readonly file: string;
  readonly warnings: ConfigWarning[] = [];
  readonly #readers: DictReader[] = [];

  constructor(file: string) {
    this.file = file;
  }

  /** Reports that `key` is not as UTM wants it; `what` continues a sentence that begins with it. */
  warn(key: string, what: string): void {
    this.warnings.push({ key, message: `${printable(key)} ${what}` });
  }

  /** An error about the value of `key`: `what` says what is there and what was expected. */
  error(key: string, what: string, hint?: string): BundleError {
    return new BundleError(`Cannot read ${printable(key)}: ${what}`, {
      hint: hint ?? `Correct it in ${this.file}, or set it anew in UTM`,
    });
  }

  /** Makes a dictionary's unread keys count for {@linkcode unknownKeys}. */
  track(reader: DictReader): void {
    this.#readers.push(reader);
  }

  /** Key paths that were there and that nothing asked for; UTM drops them when it saves. */
  unknownKeys(): string[] {
    return this.#readers.flatMap((reader) => reader.unread());
  }
}

/** How a missing or unsuitable value is treated. */
export interface Fallback<T> {
  /** Used when the key is absent. */
  value: T;
  /** UTM refuses a file without this key, so its absence is reported. */
  required: boolean;
}

/** A key that UTM requires, and what is used where it is absent. */
export function required<T>(value: T): Fallback<T> {
  return { value, required: true };
}

/** A key that may be absent. */
export function optional<T>(value: T): Fallback<T> {
  return { value, required: false };
}

/** What a text value has to look like. */
export interface TextRule {
  pattern: RegExp;
  /** What the pattern means, for "expected …": "a QEMU device name". */
  expected: string;
}

/** Reads the values of one dictionary, whose key path is `path`. */
export class DictReader {
  readonly report: ConfigReport;
  readonly path: string;
  /** The section itself is absent, which has been reported: its keys need no more reports. */
  readonly #absent: boolean;
  /** Old files: booleans as integers and numbers as text are normal. */
  readonly #loose: boolean;
  readonly #dict: PlistDict;
  readonly #read = new Set<string>();

  constructor(
    report: ConfigReport,
    dict: PlistDict,
    path = "",
    options: { absent?: boolean; loose?: boolean } = {},
  ) {
    this.report = report;
    this.path = path;
    this.#dict = dict;
    this.#absent = options.absent ?? false;
    this.#loose = options.loose ?? false;
    report.track(this);
  }

  /** The key path of `key`. */
  at(key: string): string {
    return this.path === "" ? key : `${this.path}.${key}`;
  }

  /** Whether the key is there, with whatever value. */
  has(key: string): boolean {
    return this.#dict.has(key);
  }

  /** Whether the key is there and holds a string. */
  isText(key: string): boolean {
    return typeof this.#dict.get(key) === "string";
  }

  /** Keys that nothing asked for, as key paths. */
  unread(): string[] {
    return [...this.#dict.keys()].filter((key) => !this.#read.has(key)).map((key) => this.at(key));
  }

  /** Counts keys as known that are not needed. */
  ignore(...keys: string[]): void {
    for (const key of keys) this.#read.add(key);
  }

  /** An error about `key`: what is there, then what was expected. */
  error(key: string, value: PlistValue | undefined, expected: string, hint?: string): BundleError {
    const what = value === undefined ? "missing" : describeValue(value);
    return this.report.error(this.at(key), `it is ${what}, expected ${expected}`, hint);
  }

  /** Reports about `key`; `what` continues a sentence that begins with its path. */
  warn(key: string, what: string): void {
    this.report.warn(this.at(key), what);
  }

  #get(key: string): PlistValue | undefined {
    this.#read.add(key);
    return this.#dict.get(key);
  }

  #missing<T>(key: string, expected: string, fallback: Fallback<T> | undefined): T {
    if (fallback === undefined) throw this.error(key, undefined, expected);
    if (fallback.required && !this.#absent) {
      const shown = Array.isArray(fallback.value)
        ? "none"
        : typeof fallback.value === "string"
        ? quoted(fallback.value)
        : String(fallback.value);
      this.warn(key, `is missing, ${shown} is used`);
    }
    return fallback.value;
  }

  /** A boolean; 0 and 1 are taken for one, with a report. */
  flag(key: string, fallback?: Fallback<boolean>): boolean {
    const value = this.#get(key);
    if (value === undefined) return this.#missing(key, "a boolean", fallback);
    if (typeof value === "boolean") return value;
    if (value === 0 || value === 1) {
      if (!this.#loose) this.warn(key, `is the integer ${value}, it is taken for ${value === 1}`);
      return value === 1;
    }
    throw this.error(key, value, "a boolean");
  }

  /** A whole number from `min` to `max`; digits in a string are taken for one, with a report. */
  integer(key: string, range: { min: number; max: number }, fallback?: Fallback<number>): number;
  integer(
    key: string,
    range: { min: number; max: number },
    fallback: Fallback<undefined>,
  ): number | undefined;
  integer(
    key: string,
    range: { min: number; max: number },
    fallback?: Fallback<number | undefined>,
  ): number | undefined {
    const expected = `an integer from ${range.min} to ${range.max}`;
    const value = this.#get(key);
    if (value === undefined) return this.#missing(key, expected, fallback);
    let number = value;
    if (typeof value === "string" && /^\s*[+-]?[0-9]{1,15}\s*$/.test(value)) {
      if (!this.#loose) this.warn(key, `is the string ${quoted(value)}, it is taken for a number`);
      number = Number(value);
    }
    if (typeof number !== "number" || !Number.isInteger(number)) {
      throw this.error(key, value, expected);
    }
    if (number < range.min || number > range.max) throw this.error(key, value, expected);
    return number || 0;
  }

  /** Text without NUL; `rule` says what else it must be like. */
  text(key: string, fallback?: Fallback<string>, rule?: TextRule): string;
  text(key: string, fallback: Fallback<undefined>, rule?: TextRule): string | undefined;
  text(key: string, fallback?: Fallback<string | undefined>, rule?: TextRule): string | undefined {
    const expected = rule?.expected ?? "a string";
    const value = this.#get(key);
    if (value === undefined) return this.#missing(key, expected, fallback);
    if (typeof value !== "string") throw this.error(key, value, expected);
    this.#check(this.at(key), value, rule);
    return value;
  }

  /** As {@linkcode text}; an empty string counts as absent. */
  filledText(key: string, rule?: TextRule): string | undefined {
    if (this.#dict.get(key) === "") {
      this.#read.add(key);
      return undefined;
    }
    return this.text(key, optional(undefined), rule);
  }

  /** One of `choices`. */
  choice<T extends string>(key: string, choices: readonly T[], fallback?: Fallback<T>): T {
    const value = this.#get(key);
    const expected = `one of ${choices.join(", ")}`;
    if (value === undefined) return this.#missing(key, expected, fallback);
    if (typeof value !== "string") throw this.error(key, value, expected);
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw this.error(key, value, expected, hintNearest(value, choices));
    return found;
  }

  /** An array of strings, each of which obeys `rule`. */
  texts(key: string, fallback?: Fallback<string[]>, rule?: TextRule): string[] {
    const value = this.#get(key);
    if (value === undefined) return this.#missing(key, "an array of strings", fallback);
    if (!Array.isArray(value)) throw this.error(key, value, "an array of strings");
    return value.map((item, index) => {
      const path = `${key}[${index}]`;
      if (typeof item !== "string") throw this.error(path, item, rule?.expected ?? "a string");
      this.#check(this.at(path), item, rule);
      return item;
    });
  }

  /** A section; absent, it is read as an empty one, once `absent` has said what that means. */
  section(key: string, absent: "error" | "report" | "silent"): DictReader {
    const value = this.#get(key);
    const loose = this.#loose;
    if (value === undefined) {
      if (absent === "error") throw this.error(key, undefined, "a dictionary");
      if (absent === "report") this.warn(key, "is missing, default values are used");
      return new DictReader(this.report, new Map(), this.at(key), { absent: true, loose });
    }
    if (!(value instanceof Map)) throw this.error(key, value, "a dictionary");
    return new DictReader(this.report, value, this.at(key), { loose });
  }

  /** An array of dictionaries. */
  sections(key: string, fallback?: Fallback<never[]>): DictReader[] {
    const value = this.#get(key);
    if (value === undefined) return this.#missing(key, "an array of dictionaries", fallback);
    if (!Array.isArray(value)) throw this.error(key, value, "an array of dictionaries");
    return value.map((item, index) => {
      const path = `${key}[${index}]`;
      if (!(item instanceof Map)) throw this.error(path, item, "a dictionary");
      return new DictReader(this.report, item, this.at(path), { loose: this.#loose });
    });
  }

  #check(path: string, value: string, rule: TextRule | undefined): void {
    const expected = rule?.expected ?? "text without NUL characters";
    if (value.includes("\0") || (rule !== undefined && !rule.pattern.test(value))) {
      throw this.report.error(path, `it is ${describeValue(value)}, expected ${expected}`);
    }
  }
}

/** A hint that names the accepted value which `value` may have been meant to be. */
function hintNearest(value: string, choices: readonly string[]): string | undefined {
  const near = nearest(value, choices);
  return near === undefined ? undefined : `Did you mean ${quoted(near)}?`;
}
