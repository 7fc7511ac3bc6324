/** A host that exists only in a test: a tree of files, an environment, and programs as functions. */
import type {
  CommandResult,
  HostAccess,
  PathStat,
  RunOptions,
} from "../../lib/qemu/host_access.ts";

/** One path of the tree; a text is a file that holds it. */
export type FakeNode =
  | string
  | {
    kind?: PathStat["kind"];
    text?: string;
    bytes?: number;
    mode?: number;
    modifiedMs?: number;
    link?: string;
    open?: "denied" | "busy";
  };

/** What makes a fake host different from an empty Linux on x86_64. */
export interface FakeHostOptions {
  os?: "linux" | "darwin";
  architecture?: string;
  files?: Record<string, FakeNode>;
  env?: Record<string, string>;
  /** Path of `utmost-qemu-host`. */
  hostProgram?: string;
  run?: (command: string, args: string[], options: RunOptions) => CommandResult;
}

/** A fake host; `ran` has the command lines of all programs that were started. */
export interface FakeHost extends HostAccess {
  files: Record<string, FakeNode>;
  ran: string[];
}

/** Makes a fake host. */
export function fakeHost(options: FakeHostOptions = {}): FakeHost {
  const files = { ...options.files };
  const node = (path: string): Exclude<FakeNode, string> | undefined => {
    const found = files[path];
    if (typeof found === "string") return { text: found };
    return found?.link !== undefined ? node(found.link) : found;
  };
  const children = (path: string) => {
    const prefix = path === "/" ? "/" : `${path}/`;
    const names = Object.keys(files).filter((it) => it.startsWith(prefix))
      .map((it) => it.slice(prefix.length).split("/")[0] ?? "");
    return [...new Set(names)].sort();
  };
  const host: FakeHost = {
    os: options.os ?? "linux",
    architecture: options.architecture ?? "x86_64",
    osRelease: "6.1.0",
    uid: 1000,
    files,
    ran: [],
    env: (name) => options.env?.[name],
    readText: (path, maxBytes) => node(path)?.text?.slice(0, maxBytes),
    list: children,
    stat(path) {
      path = path.replace(/(?<=.)\/+$/, "");
      const found = node(path);
      if (found === undefined && children(path).length === 0) return undefined;
      return {
        kind: found === undefined ? "directory" : found.kind ?? "file",
        bytes: found?.bytes ?? found?.text?.length ?? 0,
        modifiedMs: found?.modifiedMs ?? 1000,
        changedMs: found?.modifiedMs ?? 1000,
        inode: 1,
        mode: found?.mode ?? 0o644,
        uid: 1000,
      };
    },
    realPath(path) {
      const found = files[path];
      if (typeof found === "object" && found.link !== undefined) return host.realPath(found.link);
      return host.stat(path) === undefined ? undefined : path;
    },
    openError(path) {
      const found = node(path);
      return found === undefined ? "absent" : found.open;
    },
    hostProgram: () => options.hostProgram,
    run(command, args, runOptions) {
      host.ran.push([command, ...args].join(" "));
      if (options.run === undefined) return Promise.reject(new Deno.errors.NotFound(command));
      try {
        return Promise.resolve(options.run(command, args, runOptions));
      } catch (error) {
        return Promise.reject(error);
      }
    },
  };
  return host;
}

/** A program that can be executed. */
export const PROGRAM: FakeNode = { mode: 0o755, bytes: 1 };
