/** Reads the imports of every module and fails on an edge that goes up, or sideways with a value. */
import { assertEquals } from "@std/assert";
import { dirname, fromFileUrl, join, normalize } from "@std/path";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

/** One import as it stands in a module. */
interface Import {
  specifier: string;
  /** Erased before the program runs. */
  typeOnly: boolean;
}

/** From the top down; imports go down, to any lower layer. */
const LAYERS: readonly (readonly string[])[] = [
  ["tests", "tools"],
  ["main.ts"],
  ["lib/cli", "lib/mod.ts", "lib/spice_client.ts"],
  ["lib/vm"],
  ["lib/utm", "lib/qemu", "lib/qmp", "lib/spice", "lib/display", "lib/guest"],
  ["ffi"],
  ["native"],
  ["lib/base", "lib/std"],
];
/** Import nothing of ours but their own files. */
const LEAVES = ["lib/base", "lib/std"];

/** Where a path stands: the index of its layer, and the part of the layer. */
function placeOf(path: string): { layer: number; part: string } | undefined {
  for (const [layer, parts] of LAYERS.entries()) {
    const part = parts.find((name) => path === name || path.startsWith(`${name}/`));
    if (part !== undefined) return { layer, part };
  }
  return undefined;
}

/** Why the module `from` may not import `to`; undefined when it may. Paths are relative to ROOT. */
function objection(from: string, to: string, typeOnly: boolean): string | undefined {
  const source = placeOf(from);
  const target = placeOf(to);
  if (!source || !target) return `${source ? to : from} is in no layer`;
  if (source.part === target.part || source.layer === 0) return undefined;
  if (LEAVES.includes(source.part)) return `${source.part} is a leaf`;
  if (target.layer > source.layer) return undefined;
  if (target.layer < source.layer) return `${target.part} is above ${source.part}`;
  return typeOnly ? undefined : `${source.part} and ${target.part} may only import types`;
}

/** The imports of a module: static, dynamic with a literal, `new URL("…", import.meta.url)`. */
function importsOf(source: string): Import[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
  const found: Import[] = [];
  const statement = /^\s*(import|export)\b(\s+type\b)?([^"';]*?)\bfrom\s*["']([^"']+)["']/gm;
  for (const [, , keyword, clause = "", specifier = ""] of code.matchAll(statement)) {
    found.push({ specifier, typeOnly: keyword !== undefined || namesOnlyTypes(clause) });
  }
  for (const [, specifier = ""] of code.matchAll(/^\s*import\s*["']([^"']+)["']/gm)) {
    found.push({ specifier, typeOnly: false });
  }
  const dynamic = /(\btypeof\s+)?\bimport\s*\(\s*["'`]([^"'`]+)["'`]/g;
  for (const [, typeOf, specifier = ""] of code.matchAll(dynamic)) {
    found.push({ specifier, typeOnly: typeOf !== undefined });
  }
  const url = /\bnew\s+URL\s*\(\s*["'`]([^"'`]+)["'`]\s*,\s*import\.meta\.url/g;
  for (const [, specifier = ""] of code.matchAll(url)) {
    found.push({ specifier: relativeUrl(specifier), typeOnly: false });
  }
  return found;
}

/** Whether `{ type A, type B }` holds types alone. */
function namesOnlyTypes(clause: string): boolean {
  const names = /^\s*\{([^}]*)\}\s*$/.exec(clause)?.[1];
  if (names === undefined) return false;
  const list = names.split(",").map((name) => name.trim()).filter((name) => name !== "");
  return list.length > 0 && list.every((name) => name.startsWith("type "));
}

/** A URL against import.meta.url is relative also without `./`. */
function relativeUrl(specifier: string): string {
  return /^(\.|\/|[a-z]+:)/.test(specifier) ? specifier : `./${specifier}`;
}

/** The module of ours that a specifier names, relative to ROOT; undefined for npm and for data. */
function resolveOurs(
  specifier: string,
  from: string,
  imports: Record<string, string>,
): string | undefined {
  const mapped = imports[specifier];
  const path = specifier.startsWith(".") ? join(dirname(from), specifier) : mapped;
  return path !== undefined && /^[^:]*\.ts$/.test(path) ? normalize(path) : undefined;
}

/** Every module of ours below `folder`, relative to ROOT. */
async function modules(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(join(ROOT, folder))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) found.push(...await modules(path));
    else if (/\.ts$/.test(entry.name)) found.push(path);
  }
  return found;
}

async function modulesIfThere(folder: string): Promise<string[]> {
  const there = await Deno.stat(join(ROOT, folder)).then(() => true, () => false);
  return there ? await modules(folder) : [];
}

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(join(ROOT, path));
}

Deno.test("layers: every import goes down, or sideways for types", async () => {
  const { imports } = JSON.parse(await read("deno.json"));
  const folders = await Promise.all(["lib", "ffi", "tools"].map(modulesIfThere));
  const objections: string[] = [];
  for (const from of ["main.ts", ...folders.flat()]) {
    for (const { specifier, typeOnly } of importsOf(await read(from))) {
      const to = resolveOurs(specifier, from, imports);
      const why = to === undefined ? undefined : objection(from, to, typeOnly);
      if (why !== undefined) objections.push(`${from} imports ${specifier}: ${why}`);
    }
  }
  assertEquals(objections, []);
});

Deno.test("layers: npm's deno-std is named by alias files alone", async () => {
  const named: string[] = [];
  for (
    const path of [...await modules("lib"), ...await modules("tests"), ...await modules("tools")]
  ) {
    if (path.startsWith("lib/std/") || path.startsWith("tests/std/")) continue;
    const specifiers = importsOf(await read(path)).map(({ specifier }) => specifier);
    if (specifiers.some((specifier) => specifier.includes("deno-std"))) named.push(path);
  }
  assertEquals(named, []);
});

Deno.test("layers: objection knows the rule", () => {
  const rows: [from: string, to: string, typeOnly: boolean, allowed: boolean][] = [
    ["main.ts", "lib/cli/run.ts", false, true],
    ["main.ts", "lib/mod.ts", false, true],
    ["main.ts", "lib/base/errors.ts", false, true],
    ["main.ts", "tools/setup.ts", false, false],
    ["lib/cli/run.ts", "lib/vm/launch.ts", false, true],
    ["lib/cli/run.ts", "lib/utm/bundle.ts", false, true],
    ["lib/cli/run.ts", "main.ts", true, false],
    ["lib/mod.ts", "lib/cli/run.ts", false, false],
    ["lib/vm/launch.ts", "lib/qmp/client.ts", false, true],
    ["lib/vm/launch.ts", "lib/cli/progress.ts", true, false],
    ["lib/utm/bundle.ts", "lib/utm/model.ts", false, true],
    ["lib/qemu/argv.ts", "lib/utm/model.ts", true, true],
    ["lib/qemu/argv.ts", "lib/utm/model.ts", false, false],
    ["lib/spice/link.ts", "lib/vm/state.ts", true, false],
    ["lib/spice/link.ts", "ffi/fd.ts", false, true],
    ["ffi/fd.ts", "lib/base/errors.ts", false, true],
    ["ffi/fd.ts", "lib/spice/link.ts", true, false],
    ["lib/base/log.ts", "lib/base/errors.ts", false, true],
    ["lib/base/log.ts", "lib/std/path.ts", false, false],
    ["lib/utm/bundle.ts", "tests/std/assert.ts", false, false],
    ["lib/other/thing.ts", "lib/base/errors.ts", false, false],
    ["tools/setup.ts", "lib/base/errors.ts", false, true],
  ];
  for (const [from, to, typeOnly, allowed] of rows) {
    const label = `${from} -> ${to}${typeOnly ? " (types)" : ""}`;
    assertEquals(objection(from, to, typeOnly) === undefined, allowed, label);
  }
});

Deno.test("layers: importsOf sees every way to import, and no comment", () => {
  const source = `
/** import { a } from "./comment.ts"; */
// import "./comment.ts";
import { a } from "./a.ts";
import type { B } from "./b.ts";
import { type C, type D } from "./c.ts";
import { type E, f } from "./d.ts";
import {
  g,
  h,
} from "./e.ts";
import "./f.ts";
import * as i from './g.ts';
export * from "./h.ts";
export type { J } from "./i.ts";
const k = await import("./j.ts");
type L = typeof import("./k.ts");
const m = new Worker(new URL("./l_worker.ts", import.meta.url), { type: "module" });
const n = new URL("m.ts", import.meta.url); // "https://host/" is none
export const from = "none";
`;
  const seen = importsOf(source)
    .map(({ specifier, typeOnly }) => `${specifier}${typeOnly ? " type" : ""}`).sort();
  assertEquals(seen, [
    "./a.ts",
    "./b.ts type",
    "./c.ts type",
    "./d.ts",
    "./e.ts",
    "./f.ts",
    "./g.ts",
    "./h.ts",
    "./i.ts type",
    "./j.ts",
    "./k.ts type",
    "./l_worker.ts",
    "./m.ts",
  ]);
});
