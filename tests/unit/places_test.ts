import { assertEquals } from "@std/assert";
import { placesOf } from "../../lib/base/places.ts";

const env = (variables: Record<string, string>) => (name: string) => variables[name];

Deno.test("placesOf follows the XDG variables", () => {
  assertEquals(
    placesOf({
      os: "linux",
      uid: 1000,
      env: env({
        HOME: "/home/ann",
        XDG_RUNTIME_DIR: "/run/user/1000/",
        XDG_STATE_HOME: "/s",
        XDG_CACHE_HOME: "/c",
      }),
    }),
    { runtime: "/run/user/1000/utmost", state: "/s/utmost", cache: "/c/utmost" },
  );
});

Deno.test("placesOf has the usual folders without them, on both systems", () => {
  assertEquals(placesOf({ os: "linux", uid: 7, env: env({ HOME: "/home/ann" }) }), {
    runtime: "/tmp/utmost-7",
    state: "/home/ann/.local/state/utmost",
    cache: "/home/ann/.cache/utmost",
  });
  const mac = { HOME: "/Users/ann", TMPDIR: "/var/folders/xy/T/" };
  assertEquals(placesOf({ os: "darwin", uid: 501, env: env(mac) }), {
    runtime: "/var/folders/xy/T/utmost-501",
    state: "/Users/ann/Library/Application Support/utmost",
    cache: "/Users/ann/Library/Caches/utmost",
  });
});

Deno.test("placesOf ignores relative and empty variables, and lives without a home", () => {
  const odd = { XDG_RUNTIME_DIR: "run", XDG_CACHE_HOME: "", HOME: "" };
  assertEquals(placesOf({ os: "linux", uid: 0, env: env(odd) }), {
    runtime: "/tmp/utmost-0",
    state: "/tmp/utmost-0/state",
    cache: "/tmp/utmost-0/cache",
  });
});
