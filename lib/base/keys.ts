/**
 * The keys of a PC keyboard: QEMU's names for them, and the bytes that they send.
 *
 * Names are QKeyCode's. Scancodes are those of set 1, as the AT keyboard controller translates them
 * and as SPICE carries them. Pause and Print Screen are long sequences on a PC, but not here: QEMU
 * makes them up for its PS/2 keyboard, and takes Pause's own for a press without a release. Source: QEMU qapi/ui.json, QKeyCode; what QEMU makes of each code is
 * compared with this table in tests/e2e/inputs_test.ts.
 */
import { UsageError } from "./errors.ts";
import { nearest, quoted } from "./text.ts";

/** One key. */
export interface Key {
  /** Its QKeyCode. */
  readonly name: string;
  /** What it sends when it goes down: scancode bytes of set 1, an extended key's begin with 0xe0. */
  readonly down: readonly number[];
  /** What it sends when it comes up. */
  readonly up: readonly number[];
}

/** Names of keys by scancode: the first one's code, then keys whose codes follow one another. */
const RUNS: readonly (readonly [code: number, names: string])[] = [
  [0x01, "esc 1 2 3 4 5 6 7 8 9 0 minus equal backspace tab"],
  [0x10, "q w e r t y u i o p bracket_left bracket_right ret ctrl"],
  [0x1e, "a s d f g h j k l semicolon apostrophe grave_accent shift backslash"],
  [0x2c, "z x c v b n m comma dot slash shift_r kp_multiply alt spc caps_lock"],
  [0x3b, "f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 num_lock scroll_lock"],
  [0x47, "kp_7 kp_8 kp_9 kp_subtract kp_4 kp_5 kp_6 kp_add kp_1 kp_2 kp_3 kp_0 kp_decimal"],
  [0x54, "sysrq f16 less f11 f12 kp_equals f20 lf"],
  [0x5d, "f13 f14 f15"],
  [0x64, "open paste"],
  [0x6d, "f23"],
  [0x6f, "f24 katakanahiragana lang2 lang1 ro f21"],
  [0x77, "hiragana"],
  [0x79, "henkan"],
  [0x7b, "muhenkan"],
  [0x7d, "yen kp_comma"],
  [0x37, "asterisk"], // has no key of its own
  [0xe003, "f17 f19 again props undo"],
  [0xe00c, "front"],
  [0xe010, "audioprev"],
  [0xe019, "audionext"],
  [0xe01c, "kp_enter ctrl_r menu"],
  [0xe020, "audiomute calculator audioplay"],
  [0xe024, "audiostop"],
  [0xe02e, "volumedown"],
  [0xe030, "volumeup"],
  [0xe032, "ac_home"],
  [0xe035, "kp_divide"],
  [0xe037, "print alt_r"],
  [0xe03c, "cut"],
  [0xe041, "find"],
  [0xe046, "pause home up pgup"],
  [0xe04b, "left"],
  [0xe04d, "right"],
  [0xe04f, "end down pgdn insert delete"],
  [0xe05b, "meta_l meta_r compose power sleep"],
  [0xe063, "wake"],
  [0xe066, "ac_bookmarks ac_refresh stop ac_forward ac_back computer mail mediaselect"],
  [0xe075, "help"],
  [0xe077, "f18 copy f22"],
];

/** Other names in use, by QKeyCode; case and underscores do not count in any name. */
const ALIASES: Readonly<Record<string, string>> = {
  alt: "alt_l option",
  alt_r: "altgr option_r",
  apostrophe: "quote '",
  audiomute: "mute",
  audionext: "next_track",
  audioplay: "play",
  audioprev: "previous_track prev_track",
  audiostop: "stop_track",
  backslash: "\\",
  backspace: "bs bksp",
  bracket_left: "lbracket [",
  bracket_right: "rbracket ]",
  caps_lock: "caps",
  comma: ",",
  compose: "apps application context_menu",
  ctrl: "ctrl_l control control_l",
  ctrl_r: "control_r",
  delete: "del",
  dot: "period .",
  down: "arrow_down",
  equal: "equals =",
  esc: "escape",
  grave_accent: "grave backtick `",
  insert: "ins",
  kp_add: "kp_plus",
  kp_decimal: "kp_dot kp_period",
  kp_divide: "kp_slash",
  kp_enter: "kp_return kp_ret",
  kp_multiply: "kp_asterisk",
  kp_subtract: "kp_minus",
  left: "arrow_left",
  less: "<", // the key beside the left Shift of a keyboard with 102 keys
  meta_l: "meta super super_l win win_l windows cmd command gui",
  meta_r: "super_r win_r cmd_r command_r gui_r",
  minus: "dash hyphen",
  num_lock: "num",
  pause: "break",
  pgdn: "page_down pgdown next",
  pgup: "page_up prior",
  print: "print_screen prt_sc prt_scr",
  ret: "return enter",
  right: "arrow_right",
  scroll_lock: "scroll",
  semicolon: ";",
  shift: "shift_l",
  slash: "/",
  spc: "space",
  sysrq: "sys_req",
  up: "arrow_up",
};

function makeKey(name: string, code: number): Key {
  const make = code & 0xff;
  const [down, up] = [[make], [make | 0x80]];
  return code < 0x100 ? { name, down, up } : { name, down: [0xe0, ...down], up: [0xe0, ...up] };
}

/** Every key by its QKeyCode, all that QEMU 10 knows but `unmapped`. */
export const KEYS: ReadonlyMap<string, Key> = new Map(
  RUNS.flatMap(([code, names]) => names.split(" ").map((name, i) => makeKey(name, code + i)))
    .map((key) => [key.name, key]),
);

/** Returns a name as it is looked up. */
function plain(name: string): string {
  return name.length === 1 ? name.toLowerCase() : name.toLowerCase().replaceAll("_", "");
}

const BY_NAME: ReadonlyMap<string, Key> = new Map(
  [...KEYS.values()].flatMap((key) =>
    [key.name, ...(ALIASES[key.name] ?? "").split(" ")]
      .filter((name) => name !== "").map((name) => [plain(name), key])
  ),
);

/**
 * Returns the key of a name: a QKeyCode (`ret`, `meta_l`), another name in common use (`enter`,
 * `win`, `pageup`), or the character that it types without Shift (`a`, `;`). Upper and lower case
 * are the same, and underscores may be left out.
 *
 * @throws {UsageError} when there is none; it names the nearest.
 */
export function keyNamed(name: string): Key {
  const key = BY_NAME.get(plain(name));
  if (key !== undefined) return key;
  const near = nearest(plain(name), BY_NAME.keys());
  const suggested = near === undefined ? undefined : BY_NAME.get(near);
  throw new UsageError(`Cannot press the key ${quoted(name)}: there is no such key`, {
    hint: suggested === undefined
      ? "Keys have QEMU's names, such as ret, spc, f1, kp_enter, ctrl_r and meta_l"
      : `The nearest name is ${suggested.name}`,
  });
}

/**
 * Returns the keys of a chord, in the order in which they go down: names with `-` or `+` between
 * them, as in `ctrl-alt-f2`. A `-` where a name is due is the key `minus`, as in `ctrl--`.
 *
 * @throws {UsageError} when a name is none, the nearest being named, or a key is there twice.
 */
export function parseChord(chord: string): Key[] {
  const names: string[] = [];
  for (let rest = chord;;) {
    const [, name = "", more] = rest.match(/^(-|[^-+]*)(?:[-+]([^]*))?$/) ?? [, rest];
    if (name === "") {
      throw new UsageError(`Cannot press ${quoted(chord)}: a key is missing, expected KEY-KEY…`);
    }
    names.push(name === "-" ? "minus" : name);
    if (more === undefined) break;
    rest = more;
  }
  const keys = names.map(keyNamed);
  const twice = keys.find((key, i) => keys.indexOf(key) !== i);
  if (twice === undefined) return keys;
  throw new UsageError(`Cannot press ${quoted(chord)}: the key ${twice.name} is there twice`);
}
