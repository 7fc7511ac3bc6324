/** Every command with its words and options, as data: parsing, help and completions read it. */

/** One option of a command. */
export interface OptionSpec {
  /** `flag`: takes no value. `value`: the last one given counts. `list`: all given count. */
  readonly kind: "flag" | "value" | "list";
  /** The value's name in the help, such as `DURATION`. */
  readonly value?: string;
  /** The values it takes, where they are few. */
  readonly choices?: readonly string[];
  /** One clause for the help. */
  readonly help: string;
  /** It is a step: the order among steps counts. */
  readonly step?: true;
}

/** One command. */
export interface CommandSpec {
  /** How its words read in the help: `BUNDLE`, `VM TEXT`. */
  readonly words: string;
  /** The fewest and the most words. */
  readonly count: readonly [number, number];
  readonly help: string;
  /** More for the command's own help, a line each: examples, exit codes. */
  readonly more?: readonly string[];
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** What follows `--` is taken as it is. */
  readonly passthrough?: true;
  /** What follows `--` are words, though they begin with a dash. */
  readonly dashedWords?: true;
  /** For the program itself: not in the help. */
  readonly hidden?: true;
}

/** Options of every command. */
export const COMMON_OPTIONS = {
  json: { kind: "flag", help: "print one JSON document on stdout" },
  help: { kind: "flag", help: "explain the command" },
  quiet: { kind: "flag", help: "print errors only (-q)" },
  verbose: { kind: "flag", help: "print more (-v)" },
  "no-color": { kind: "flag", help: "print no colours" },
} as const satisfies Record<string, OptionSpec>;

/** Short spellings. */
export const SHORT_OPTIONS: Readonly<Record<string, string>> = {
  h: "help",
  q: "quiet",
  v: "verbose",
};

/** Options that change the QEMU command: `run`, `argv` and `inspect` take them. */
const COMMAND_OPTIONS = {
  accel: {
    kind: "value",
    value: "ACCEL",
    choices: ["auto", "kvm", "hvf", "tcg"],
    help:
      "accelerator: auto, kvm, hvf or tcg (auto: the bundle's wish, tcg where it cannot be met)",
  },
  "require-accel": { kind: "flag", help: "fail rather than fall back to tcg" },
  qemu: { kind: "value", value: "PATH", help: "QEMU binary, or a folder with qemu-system-*" },
  gl: {
    kind: "value",
    value: "WHEN",
    choices: ["auto", "on", "off"],
    help: "3D in the guest, by GL scanouts through SPICE: auto (what there is), on or off",
  },
  rendernode: {
    kind: "value",
    value: "PATH",
    help: "render node of the GPU (default: the first that opens)",
  },
  memory: { kind: "value", value: "MIB", help: "memory in MiB instead of the bundle's" },
  cpus: { kind: "value", value: "N", help: "virtual CPUs instead of the bundle's" },
  disposable: { kind: "flag", help: "do not write to the bundle" },
  drive: { kind: "list", value: "ID=PATH", help: "image for a removable drive" },
  forward: {
    kind: "list",
    value: "FORWARD",
    help: "port forward tcp:[HOSTIP:]HOSTPORT:GUESTPORT, udp: too; host port 0 picks a free one",
  },
  share: { kind: "value", value: "DIR[:ro]", help: "directory shared with the guest" },
  allow: {
    kind: "list",
    value: "GRANTS",
    help: "grant: args, external, ports, network, share, monitor, devices, all",
  },
  strict: { kind: "flag", help: "make warnings and substitutions errors" },
} as const satisfies Record<string, OptionSpec>;

const RUN_OPTIONS = {
  ...COMMAND_OPTIONS,
  headless: { kind: "flag", help: "no window" },
  window: { kind: "flag", help: "a window" },
  serial: {
    kind: "value",
    value: "WHERE",
    help: "where the first built-in terminal goes: stdio, off or a file",
  },
  expect: { kind: "list", value: "REGEX", step: true, help: "step: wait for serial text" },
  send: {
    kind: "list",
    value: "TEXT",
    step: true,
    help: "step: send to the serial port (\\n \\r \\t \\xHH \\\\)",
  },
  screenshot: {
    kind: "list",
    value: "FILE",
    step: true,
    help: "step: save the screen as PNG",
  },
  then: {
    kind: "value",
    value: "WHAT",
    choices: ["stop", "kill", "leave", "wait"],
    help: "once all steps are done: stop, kill, leave or wait",
  },
  timeout: { kind: "value", value: "DURATION", help: "time budget: 500ms, 90s, 10m, 1h" },
  detach: { kind: "flag", help: "return once the guest runs; the VM goes on" },
  events: { kind: "value", value: "FILE|-", help: "NDJSON event stream" },
  artifacts: { kind: "value", value: "DIR", help: "folder for evidence when the run fails" },
} as const satisfies Record<string, OptionSpec>;

/** Every command by name. */
export const COMMANDS = {
  run: {
    words: "BUNDLE",
    count: [1, 1],
    help: "boot a bundle and stay until the guest is off",
    options: RUN_OPTIONS,
    passthrough: true,
  },
  argv: {
    words: "BUNDLE",
    count: [1, 1],
    help: "print the QEMU command that run would use; it starts paused, as run does",
    options: {
      ...COMMAND_OPTIONS,
      host: {
        kind: "value",
        value: "HOST",
        help: "build for a described host: utm-, linux- or darwin-, with aarch64 or x86_64",
      },
    },
    passthrough: true,
  },
  inspect: {
    words: "BUNDLE",
    count: [1, 1],
    help: "show the configuration and what it touches on this host",
    options: COMMAND_OPTIONS,
    passthrough: true,
  },
  doctor: {
    words: "",
    count: [0, 0],
    help: "show what this host offers",
    options: {
      qemu: { kind: "value", value: "PATH", help: "QEMU binary, or a folder with qemu-system-*" },
    },
  },
  trust: {
    words: "BUNDLE",
    count: [1, 1],
    help: "remember what a bundle asks for, so that run needs no --allow",
    options: {},
  },
  untrust: { words: "BUNDLE", count: [1, 1], help: "forget what trust remembered", options: {} },
  ps: { words: "", count: [0, 0], help: "list the running VMs", options: {} },
  status: { words: "VM", count: [1, 1], help: "show one running VM", options: {} },
  stop: {
    words: "VM",
    count: [1, 1],
    help: "power down, then quit, then kill",
    options: { kill: { kind: "flag", help: "start at the end" } },
  },
  pause: { words: "VM", count: [1, 1], help: "pause the guest", options: {} },
  resume: { words: "VM", count: [1, 1], help: "let a paused guest go on", options: {} },
  reset: { words: "VM", count: [1, 1], help: "reset the guest as by its button", options: {} },
  send: {
    words: "VM TEXT",
    count: [2, 2],
    help: "send text to the serial port (\\n \\r \\t \\xHH \\\\)",
    options: {},
    dashedWords: true,
  },
  type: {
    words: "VM TEXT",
    count: [2, 2],
    help:
      "type text on the keyboard, as a US one has it (\\n is Return, \\t Tab, \\\\ a backslash)",
    more: [
      "  utmost type hello 'help\\n'",
      "  utmost type hello -- '-v\\n'     a text that begins with a dash",
      "",
      "\\xHH is a byte of the text in UTF-8; what is on no key of a US keyboard is refused.",
      "Exit codes: 0 typed; 2 no such key; 5 the guest has no keyboard; 13 no such VM is running, or",
      "it is paused: the message tells how many characters have gone in.",
    ],
    options: {},
    dashedWords: true,
  },
  keys: {
    words: "VM KEY…",
    count: [2, Infinity],
    help: "press keys one after another, by QEMU's names: ret, f2, ctrl-alt-delete",
    more: [
      "  utmost keys hello ctrl-alt-f2 esc",
      "  utmost keys hello ctrl+c enter",
      "",
      "Names: a to z, 0 to 9, f1 to f24, ret (enter, return), esc, tab, spc (space), backspace,",
      "delete (del), insert (ins), home, end, pgup (page_up), pgdn (page_down), up, down, left, right,",
      "shift, ctrl, alt, meta_l (win, cmd, super), menu, compose, caps_lock, num_lock, scroll_lock,",
      "print, pause, minus, equal, comma, dot, slash, backslash, semicolon, apostrophe, grave_accent,",
      "bracket_left, bracket_right, kp_0 to kp_9, kp_enter, kp_add, and the rest of QEMU's QKeyCode.",
      "shift, ctrl and alt with _r, and meta_r, are those on the right. Upper and lower case are the",
      "same; underscores may be left out; - or + is between the keys of a chord.",
      "Exit codes: 0 pressed; 2 no such key; 5 the guest has no keyboard; 13 no such VM is running, or",
      "it is paused.",
    ],
    options: {},
    dashedWords: true,
  },
  screenshot: {
    words: "VM FILE",
    count: [2, 2],
    help: "save the screen as PNG",
    options: {
      cursor: { kind: "flag", help: "with the mouse pointer" },
      display: { kind: "value", value: "N", help: "which display; they count from 0" },
    },
  },
  view: {
    words: "TARGET",
    count: [1, 1],
    help: "look at a running VM, at spice+unix:///PATH or spice://HOST:PORT",
    more: [
      "  utmost view hello --headless --screenshot now.png --cursor",
      "  utmost view 'spice://[::1]:5900' --headless --duration 10s --stats -",
      "",
      "Exit codes: 0 looked for --duration, or until the VM ended; 2 usage; 8 the SPICE server does not",
      "answer or was lost, or no picture has come; 13 no such VM is running; 14 a file cannot be",
      "written; 128+n ended by signal n.",
    ],
    options: {
      headless: { kind: "flag", help: "no window" },
      window: { kind: "flag", help: "a window; this version has none yet" },
      screenshot: {
        kind: "value",
        value: "FILE",
        help: "save the screen as PNG: after --duration, or as soon as there is a picture",
      },
      cursor: { kind: "flag", help: "with the mouse pointer" },
      display: { kind: "value", value: "N", help: "which display; they count from 0" },
      duration: { kind: "value", value: "DURATION", help: "how long to look: 500ms, 90s, 10m, 1h" },
      stats: { kind: "value", value: "FILE|-", help: "at the end, write as JSON what came" },
      "password-file": {
        kind: "value",
        value: "FILE",
        help: "the SPICE server's password: the first line of a file",
      },
    },
  },
  console: {
    words: "VM",
    count: [1, 1],
    help: "connect this terminal to the serial port",
    options: {},
  },
  log: {
    words: "VM",
    count: [1, 1],
    help: "print what QEMU has said and what happened",
    options: {},
  },
  qmp: {
    words: "VM JSON",
    count: [2, 2],
    help: "send one QMP command and print its reply",
    options: {},
  },
  version: { words: "", count: [0, 0], help: "print the version", options: {} },
  help: {
    words: "[COMMAND]",
    count: [0, 1],
    help: "explain the program or a command",
    options: {},
  },
  completions: {
    words: "SHELL",
    count: [1, 1],
    help: "print a completion script for bash, zsh or fish",
    options: {},
  },
  supervise: {
    words: "ID BUNDLE",
    count: [2, 2],
    help: "be the supervisor of a detached run",
    options: RUN_OPTIONS,
    passthrough: true,
    hidden: true,
  },
} as const satisfies Record<string, CommandSpec>;

/** The name of a command. */
export type CommandName = keyof typeof COMMANDS;

/** Commands of the contract that this version does not have yet. */
export const FUTURE_COMMANDS: readonly string[] = [
  "suspend",
  "exec",
  "push",
  "pull",
  "ip",
  "test",
];
