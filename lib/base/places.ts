/** Where files of ours live. Source: the contract in README.md, "Environment and places". */

/** The folders of one user; none of them is created here. */
export interface Places {
  /** Sockets, overlays, one folder per instance; cleared when the user logs out. */
  runtime: string;
  /** Trust, inserted media, locks, logs. */
  state: string;
  /** What can be found out or unpacked again: the host probe, native code. */
  cache: string;
}

/** What the places follow from. */
export interface PlacesInput {
  os: "linux" | "darwin";
  /** The user's number, for a folder below a shared one. */
  uid: number;
  /** Reads an environment variable. */
  env: (name: string) => string | undefined;
}

/**
 * Returns the folders of the user that `input` describes, as absolute paths.
 *
 * A variable that is empty or not absolute counts as unset, as the XDG base directory
 * specification asks for. A user without a home directory gets all three below the runtime folder.
 */
export function placesOf(input: PlacesInput): Places {
  const folder = (name: string) => {
    const value = input.env(name);
    return value?.startsWith("/") ? value.replace(/(?<=.)\/+$/, "") : undefined;
  };
  const xdgRuntime = folder("XDG_RUNTIME_DIR");
  const shared = folder("TMPDIR") ?? "/tmp";
  const runtime = xdgRuntime !== undefined
    ? below(xdgRuntime, "utmost")
    : below(shared, `utmost-${input.uid}`);

  const home = folder("HOME");
  const inHome = (path: string) => home === undefined ? undefined : below(home, path);
  const darwin = input.os === "darwin";
  const state = folder("XDG_STATE_HOME") ??
    inHome(darwin ? "Library/Application Support" : ".local/state");
  const cache = folder("XDG_CACHE_HOME") ?? inHome(darwin ? "Library/Caches" : ".cache");
  return {
    runtime,
    state: state === undefined ? below(runtime, "state") : below(state, "utmost"),
    cache: cache === undefined ? below(runtime, "cache") : below(cache, "utmost"),
  };
}

/** Returns the folders of the user who runs this process. */
export function places(): Places {
  return placesOf({
    os: Deno.build.os === "darwin" ? "darwin" : "linux",
    uid: Deno.uid() ?? 0,
    env: (name) => Deno.env.get(name),
  });
}

/** Where native code is unpacked that a compiled utmost carries, or that was downloaded. */
export function unpackedFolder({ cache }: Pick<Places, "cache">): string {
  return below(cache, "native");
}

/** Joins without the cost of loading a path module. */
function below(folder: string, path: string): string {
  return folder === "/" ? `/${path}` : `${folder}/${path}`;
}
