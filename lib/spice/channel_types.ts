/** Names of channels. Source: spice/enums.h, SPICE_CHANNEL. */

const CHANNEL_TYPES: Readonly<Record<number, string>> = {
  1: "main",
  2: "display",
  3: "inputs",
  4: "cursor",
  5: "playback",
  6: "record",
  8: "smartcard",
  9: "usbredir",
  10: "port",
  11: "webdav",
};

/** Returns the name of a channel's type, or `type N`. */
export function channelType(type: number): string {
  return CHANNEL_TYPES[type] ?? `type ${type}`;
}

/** Returns the name of one channel: "display", "display-1". */
export function channelName(type: number, id: number): string {
  return id === 0 ? channelType(type) : `${channelType(type)}-${id}`;
}
