/** The user's own arguments, the only text that reaches QEMU as it is. */
import { splitWords } from "../base/words.ts";
import type { RuleInput } from "./facts.ts";
import type { QemuOption } from "./option.ts";

/**
 * The words of AdditionalArguments, each string split by itself, then those behind `--`. An option
 * has its argument as `text`, never as `head` and `properties`.
 */
export function userOptions({ config, options }: RuleInput): QemuOption[] {
  return [
    ...config.qemu.additionalArguments.flatMap((text, index) =>
      pairs(splitWords(text), `QEMU.AdditionalArguments[${index}]`)
    ),
    ...pairs(options.extraArguments, "--"),
  ];
}

/** Puts a word without dash behind the option in front of it; which words there are stays the same. */
function pairs(words: readonly string[], from: string): QemuOption[] {
  const result: QemuOption[] = [];
  for (let i = 0; i < words.length; i++) {
    const flag = words[i] ?? "";
    const next = words[i + 1];
    if (flag.startsWith("-") && next !== undefined && !next.startsWith("-")) {
      result.push({ flag, text: next, from });
      i++;
    } else {
      result.push({ flag, from });
    }
  }
  return result;
}
