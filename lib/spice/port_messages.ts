/**
 * Messages of the channels that carry bytes: ports, WebDAV (a port of its own type) and usbredir.
 *
 * Source: spice.proto, SpicevmcChannel and PortChannel.
 */
import { type Codec, message, restBytes, shownText, struct, u32, u8 } from "./codec.ts";
import { SpiceDecodeError } from "./errors.ts";

/** Types of these channels. Source: spice/enums.h, SPICE_CHANNEL. */
export const PORT_TYPES = { usbredir: 9, port: 10, webdav: 11 } as const;

/** The most bytes of a message; a server's own have at most 65,568. */
export const PORT_MAX_BYTES = 128 * 1024;

/** The most bytes in a message of ours. */
export const PORT_DATA_BYTES = 64 * 1024;

/** What happens to a port, by number. Source: spice/enums.h, SPICE_PORT_EVENT. */
export const PORT_EVENTS = ["opened", "closed", "break"] as const;

/** A name behind a link, and whether the guest has opened its end. */
const portInit: Codec<{ name: string; opened: number }> = {
  minBytes: 9,
  decode(reader) {
    const size = reader.u32();
    const offset = reader.u32();
    const opened = reader.u8();
    if (offset < reader.offset && size > 0) {
      throw new SpiceDecodeError(`Cannot read a port's name: its link leads back to ${offset}`);
    }
    return { name: size > 0 ? shownText(reader.at(offset, size).bytes(size)) : "", opened };
  },
  encode(writer, { name, opened }) {
    const bytes = new TextEncoder().encode(`${name}\0`);
    writer.u32(bytes.length);
    writer.link(() => writer.bytes(bytes));
    writer.u8(opened);
  },
};

/** Server messages: id to name and layout. */
export const PORT_MESSAGES = {
  101: message("data", struct({ data: restBytes })),
  102: message("compressed_data", struct({ type: u8, size: u32, data: restBytes })),
  201: message("port_init", portInit),
  202: message("port_event", struct({ event: u8 })), // an index of PORT_EVENTS
} as const;

/** Ids and layouts of client messages. */
export const PORT_REQUESTS = {
  data: { id: 101, body: struct({ data: restBytes }) },
  port_event: { id: 201, body: struct({ event: u8 }) },
} as const;
