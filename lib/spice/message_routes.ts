/** What is done with messages: tables of them, handlers by name, and both together by id. */
import type { ByteReader, Codec, Decoded } from "./codec.ts";

// deno-lint-ignore no-explicit-any -- a table holds messages of any type
type Entry = { readonly name: string } & Partial<Codec<any>>;
/** Server messages by id: what has a layout can be handled, the rest is known by name. */
export type MessageTable = Readonly<Record<number, Entry>>;

/** The names of a table's messages that have a layout. */
type Readable<M> = M extends { readonly name: infer N extends string } & Codec<unknown> ? N : never;

/** A handler for each message of a table that has a layout, by name; those left out are dropped. */
export type Handlers<T extends MessageTable> = {
  [N in Readable<T[keyof T]>]?: (value: Decoded<Extract<T[keyof T], { readonly name: N }>>) => void;
};

/** What is done with each message id of a channel. */
export type Routes = ReadonlyMap<number, ((reader: ByteReader) => void) | undefined>;

/** Combines a table and its handlers; the values share the memory of the message they came in. */
export function routes<T extends MessageTable>(table: T, handlers: Handlers<NoInfer<T>>): Routes {
  const byName = handlers as Readonly<Record<string, ((value: unknown) => void) | undefined>>;
  return new Map(
    Object.entries(table).map(([id, { name, decode }]) => {
      const handle = byName[name];
      return [
        Number(id),
        decode && handle
          ? (reader: ByteReader) => handle.call(handlers, decode(reader))
          : undefined,
      ];
    }),
  );
}

/** Handlers that call those of `first` and then those of `second`. */
export function both<T extends MessageTable>(first: Handlers<T>, second: Handlers<T>): Handlers<T> {
  type Any = Record<string, ((value: unknown) => void) | undefined>;
  const [one, other] = [first as Any, second as Any];
  const merged: Any = { ...one, ...other };
  for (const name of Object.keys(merged)) {
    const [a, b] = [one[name], other[name]];
    if (a && b) merged[name] = (value) => (a.call(one, value), b.call(other, value));
  }
  return merged as Handlers<T>;
}
