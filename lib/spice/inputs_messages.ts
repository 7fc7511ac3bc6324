/** Messages of the inputs channel. Source: spice.proto, InputsChannel. */
import { empty, i32, message, restBytes, struct, u16, u32, u8 } from "./codec.ts";

/** The channel's type. Source: spice/enums.h, SPICE_CHANNEL. */
export const INPUTS_TYPE = 3;

/** The most bytes of a message; the longest known has two. */
export const INPUTS_MAX_BYTES = 64;

/** Bits of the inputs channel's capabilities. Source: spice/protocol.h, SPICE_INPUTS_CAP. */
export const INPUTS_CAPS = { keyScancode: 0 } as const;

/** Bits of the lights on a keyboard. Source: spice/enums.h, SPICE_KEYBOARD_MODIFIER_FLAGS. */
export const LOCKS = { scroll: 1, num: 2, caps: 4 } as const;

/** Numbers of buttons; bit n - 1 of a mask is button n. Source: spice/enums.h, SPICE_MOUSE_BUTTON. */
export const BUTTONS = {
  left: 1,
  middle: 2,
  right: 3,
  wheelUp: 4,
  wheelDown: 5,
  side: 6,
  extra: 7,
} as const;

/** One MOUSE_MOTION_ACK comes for so many motions. Source: spice/protocol.h. */
export const MOTION_ACK_BUNCH = 4;

/** The most scancode bytes in one message. Source: libspice-server, inputs-channel.c. */
export const MAX_SCANCODE_BYTES = 2048;

/** Server messages: id to name and layout. */
export const INPUTS_MESSAGES = {
  101: message("init", struct({ locks: u16 })), // bits of LOCKS
  102: message("key_modifiers", struct({ locks: u16 })),
  111: message("mouse_motion_ack", empty),
} as const;

/** Up to four scancode bytes, the first one lowest; a zero byte ends them. */
const KEY = struct({ code: u32 });
/** `buttons`: the mask after the event. */
const BUTTON = struct({ button: u8, buttons: u16 });

/** Ids and layouts of client messages. */
export const INPUTS_REQUESTS = {
  key_down: { id: 101, body: KEY },
  key_up: { id: 102, body: KEY },
  key_modifiers: { id: 103, body: struct({ locks: u16 }) },
  key_scancode: { id: 104, body: restBytes },
  mouse_motion: { id: 111, body: struct({ dx: i32, dy: i32, buttons: u16 }) },
  mouse_position: { id: 112, body: struct({ x: u32, y: u32, buttons: u16, display: u8 }) },
  mouse_press: { id: 113, body: BUTTON },
  mouse_release: { id: 114, body: BUTTON },
} as const;
