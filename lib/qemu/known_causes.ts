/**
 * Why QEMU did not start, where its own words leave the user without a next step.
 *
 * Source: the messages of QEMU 7.2, as seen; a newer QEMU that words one differently only loses the
 * hint.
 */
import { ExitCode } from "../base/exit_code.ts";

/** A cause that QEMU's words give away. */
export interface KnownCause {
  /** What the user can do next. */
  hint: string;
  /** The exit code that fits better than {@linkcode ExitCode.qemu}. */
  exitCode?: number;
}

const CAUSES: readonly (KnownCause & { words: RegExp })[] = [
  {
    words: /Failed to get "?(write|shared "\w+"|consistent read|resize)"? lock/,
    hint: "Another program has this image open: stop it, or run with --disposable",
    exitCode: ExitCode.hostFailure,
  },
  {
    words:
      /Could not set up host forwarding rule|binding socket to .* failed|Address already in use/,
    hint: "Another program has this port, or it is below 1024: choose another one",
    exitCode: ExitCode.hostFailure,
  },
  {
    words: /cannot set up guest memory|Cannot allocate memory/,
    hint: "The host has too little memory for this guest: give it less with --memory",
    exitCode: ExitCode.hostFailure,
  },
  {
    words: /Failed to initialize EGL|egl: \w+ failed/,
    hint: "QEMU cannot draw on this render node: name that of a GPU with --rendernode, or --gl off",
    exitCode: ExitCode.host,
  },
  {
    words: /No space left on device/,
    hint: "Make room on the disk",
    exitCode: ExitCode.hostFailure,
  },
  {
    words:
      /failed to initialize kvm|Could not access KVM|invalid accelerator|HV_(DENIED|ERROR|UNSUPPORTED)/i,
    hint: "Run without the accelerator: --accel tcg",
  },
];

/** The cause that the last lines of a QEMU which did not start give away, if they do. */
export function knownCause(lines: readonly string[]): KnownCause | undefined {
  const text = lines.join("\n");
  return CAUSES.find(({ words }) => words.test(text));
}
