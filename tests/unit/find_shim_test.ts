/** Where the native library is looked for, and what is said where it is not there or does not fit. */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { fromFileUrl, join, toFileUrl } from "@std/path";
import { findShim, SHIM_FILE, type ShimPlaces, shimPlaces } from "../../ffi/find.ts";
import { loadShim, SHIM_ABI } from "../../ffi/load.ts";
import { type ObtainOptions, obtainShim, type Plug } from "../../ffi/release.ts";
import { ShimError } from "../../lib/base/errors.ts";
import { shimTest } from "./open_shim.ts";

/** A folder, and places in it: nothing is named, built or unpacked so far. */
async function inFolder(
  body: (folder: string, at: ShimPlaces) => void | Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "utmost-shim-" });
  try {
    await body(folder, {
      named: undefined,
      standalone: false,
      built: toFileUrl(join(folder, SHIM_FILE)),
      unpacked: join(folder, "unpacked"),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const BYTES = new TextEncoder().encode("a library");
const sha256 = async (bytes: Uint8Array<ArrayBuffer>) =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();

Deno.test("findShim takes what is named, before what is built", () =>
  inFolder((folder, at) => {
    assertEquals(findShim(at), undefined);
    const built = join(folder, SHIM_FILE);
    Deno.writeFileSync(built, BYTES);
    assertEquals(findShim(at), { path: built, from: "built" });
    assertEquals(findShim({ ...at, named: "" }), { path: built, from: "built" });
    const other = join(folder, "other.so");
    Deno.writeFileSync(other, BYTES);
    assertEquals(findShim({ ...at, named: other }), { path: other, from: "UTMOST_SHIM" });
  }));

Deno.test("findShim never passes over what is named", () =>
  inFolder((folder, at) => {
    Deno.writeFileSync(join(folder, SHIM_FILE), BYTES);
    for (const named of [join(folder, "none.so"), folder, "none.so"]) {
      const error = assertThrows(() => findShim({ ...at, named }), ShimError, "UTMOST_SHIM");
      assertStringIncludes(
        error.message,
        `"${named === "none.so" ? join(Deno.cwd(), named) : named}"`,
      );
    }
  }));

Deno.test("findShim unpacks what a compiled utmost carries, and looks nowhere else", () =>
  inFolder((folder, at) => {
    const compiled = { ...at, standalone: true };
    assertEquals(findShim(compiled), undefined);
    Deno.writeFileSync(join(folder, SHIM_FILE), BYTES);
    const found = findShim(compiled);
    assertEquals(found?.from, "carried");
    assert(found!.path.startsWith(`${at.unpacked}/`) && found!.path.endsWith(`/${SHIM_FILE}`));
    assertEquals(Deno.readFileSync(found!.path), BYTES);
    Deno.writeTextFileSync(join(folder, "file"), "");
    const nowhere = { ...compiled, unpacked: join(folder, "file") };
    const error = assertThrows(
      () => findShim(nowhere),
      ShimError,
      "Cannot open the native library",
    );
    assert(error.hint?.includes("XDG_CACHE_HOME"));
  }));

Deno.test("findShim has nothing where utmost is run from a URL", () =>
  inFolder((_folder, at) => {
    assertEquals(
      findShim({ ...at, built: new URL("https://x.example/libutm_shim.so") }),
      undefined,
    );
  }));

shimTest("loadShim opens a library that was unpacked", (shim) =>
  inFolder((_folder, at) => {
    const compiled = { ...at, standalone: true, built: toFileUrl(shim.path) };
    using unpacked = loadShim(findShim(compiled)!.path);
    assertEquals(unpacked.symbols.utm_shim_abi(), SHIM_ABI);
  }));

shimTest(
  "loadShim refuses another version, another library, and what is none",
  () =>
    inFolder(async (folder) => {
      const make = async (name: string, source: string) => {
        const path = join(folder, `${name}.so`);
        await Deno.writeTextFile(join(folder, "a.c"), source);
        const compiler = Deno.env.get("CC") ?? "cc";
        const args = ["-shared", "-fPIC", "-o", path, join(folder, "a.c")];
        const { success, stderr } = await new Deno.Command(compiler, { args }).output();
        assert(success, new TextDecoder().decode(stderr));
        return path;
      };
      // It has none of the other symbols of today's, as an old one may not.
      const old = await make("old", "int utm_shim_abi(void) { return 7; }");
      const error = assertThrows(() => loadShim(old), ShimError);
      assertEquals(
        error.message,
        `Cannot use the native library "${old}": its ABI is 7, expected ${SHIM_ABI}`,
      );
      assert(error.hint?.includes("deno task native"));
      const other = await make("other", "int other(void) { return 1; }");
      assertThrows(() => loadShim(other), ShimError, `"${other}": it is another library`);
      const half = await make("half", `int utm_shim_abi(void) { return ${SHIM_ABI}; }`);
      assertThrows(() => loadShim(half), ShimError, `Cannot open the native library "${half}"`);
      const none = join(folder, "none.so");
      await Deno.writeFile(none, BYTES);
      assertThrows(() => loadShim(none), ShimError, `"${none}"`);
    }),
);

/** Plug, as far as it is used: a file for each URL, and what it was asked. */
class FakePlug implements Plug {
  readonly asked: string[] = [];
  readonly #answer: (cache: string) => Promise<string>;
  constructor(answer: (cache: string) => Promise<string>) {
    this.#answer = answer;
  }
  async download({ url, cache }: { url: string; cache: "use" | "reloadAll" }): Promise<string> {
    this.asked.push(`${cache} ${url}`);
    console.log("Downloading"); // as plug does
    return await this.#answer(cache);
  }
}

const URL_OF_RELEASE = `https://releases.example/${SHIM_FILE}`;
const SYSTEM = `${Deno.build.os}-${Deno.build.arch}`;

/** Obtains a library for which one release is known, by `plug`. */
async function obtain(
  at: ShimPlaces,
  plug: Plug | (() => Promise<Plug>),
  options: Partial<ObtainOptions> = {},
): Promise<{ path: string; announced: string[]; stdout: string[] }> {
  const announced: string[] = [];
  const stdout: string[] = [];
  const { log, error } = console;
  console.log = (text: string) => stdout.push(text);
  console.error = () => {};
  try {
    const { path, from } = await obtainShim({
      at,
      announce: (text) => announced.push(text),
      released: { [SYSTEM]: { url: URL_OF_RELEASE, sha256: await sha256(BYTES) } },
      importPlug: typeof plug === "function" ? plug : () => Promise.resolve(plug),
      ...options,
    });
    assertEquals(from, "downloaded");
    return { path, announced, stdout };
  } finally {
    console.log = log;
    console.error = error;
  }
}

/** What plug has in its cache. */
async function cached(folder: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, "cached.so");
  await Deno.writeFile(path, bytes);
  return path;
}

Deno.test("obtainShim downloads where there is no library, says so, and leaves stdout alone", () =>
  inFolder(async (folder, at) => {
    const plug = new FakePlug(() => cached(folder, BYTES));
    const { path, announced, stdout } = await obtain(at, plug);
    assertEquals(plug.asked, [`use ${URL_OF_RELEASE}`]);
    assertEquals(announced, [`downloading ${SHIM_FILE} from ${URL_OF_RELEASE}`]);
    assertEquals(stdout, []);
    // Not plug's file, which whoever can write to its cache could exchange after it was checked.
    assert(path.startsWith(`${at.unpacked}/`));
    assertEquals(Deno.readFileSync(path), BYTES);
  }));

Deno.test("obtainShim downloads nothing where there is a library, or a wrong one is named", () =>
  inFolder(async (folder, at) => {
    const never = () => Promise.reject(new Error("imported"));
    const named = join(folder, "none.so");
    await assertRejects(() => obtain({ ...at, named }, never), ShimError, "UTMOST_SHIM");
    await assertRejects(() => obtain({ ...at, standalone: true }, never), ShimError, "compiled");
    Deno.writeFileSync(join(folder, SHIM_FILE), BYTES);
    const found = await obtainShim({ at, announce: () => {}, importPlug: never });
    assertEquals(found.from, "built");
  }));

Deno.test("obtainShim opens nothing with another sum, and asks once more for what was cached", () =>
  inFolder(async (folder, at) => {
    const damaged = new TextEncoder().encode("a librarY");
    const repaired = new FakePlug((cache) => cached(folder, cache === "use" ? damaged : BYTES));
    const { path } = await obtain(at, repaired);
    assertEquals(repaired.asked.length, 2);
    assertEquals(Deno.readFileSync(path), BYTES);
    await Deno.remove(at.unpacked, { recursive: true });

    const wrong = new FakePlug(() => cached(folder, damaged));
    const error = await assertRejects(() => obtain(at, wrong), ShimError);
    assertEquals(wrong.asked.length, 2);
    assertStringIncludes(error.message, await sha256(damaged));
    assertStringIncludes(error.message, `expected ${await sha256(BYTES)}`);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["cached.so"]);
  }));

Deno.test("obtainShim gives up in time, and says what failed", () =>
  inFolder(async (_folder, at) => {
    const silent = new FakePlug(() => new Promise(() => {}));
    const never = () => new Promise<Plug>(() => {});
    for (const plug of [silent, never]) {
      const begun = performance.now();
      await assertRejects(
        () => obtain(at, plug, { timeoutMs: 50 }),
        ShimError,
        "nothing came within 50 ms",
      );
      assert(performance.now() - begun < 1000);
    }
    const refused = new FakePlug(() => Promise.reject(new TypeError("connection refused")));
    const error = await assertRejects(() => obtain(at, refused), ShimError, "connection refused");
    assertStringIncludes(error.message, URL_OF_RELEASE);
    assertStringIncludes(error.message, `native/build/${SHIM_FILE} is not built`);
    assert(error.hint?.includes("deno task native"));
    const unreachable = () => Promise.reject(new TypeError("jsr.io cannot be reached"));
    await assertRejects(() => obtain(at, unreachable), ShimError, "jsr.io cannot be reached");
  }));

Deno.test("obtainShim ends with the signal's reason when it is aborted", () =>
  inFolder(async (_folder, at) => {
    const controller = new AbortController();
    const plug = new FakePlug(() => {
      controller.abort(new Error("enough"));
      return new Promise(() => {});
    });
    await assertRejects(() => obtain(at, plug, { signal: controller.signal }), Error, "enough");
  }));

Deno.test("obtainShim says that nothing is released, and does not look for plug", () =>
  inFolder(async (_folder, at) => {
    const announced: string[] = [];
    const importPlug = () => Promise.reject(new Error("imported"));
    const announce = (text: string) => void announced.push(text);
    const error = await assertRejects(() => obtainShim({ at, announce, importPlug }), ShimError);
    assertEquals(
      error.message,
      `Cannot open the native library: native/build/${SHIM_FILE} is not built, and none is ` +
        `released for ${SYSTEM}`,
    );
    assertEquals(announced, []);
  }));

Deno.test("plug is named by a variable alone, so that no lockfile and no start-up knows of it", async () => {
  const root = new URL("../../", import.meta.url);
  for (const file of ["deno.json", "deno.lock"]) {
    assert(!(await Deno.readTextFile(new URL(file, root))).includes("plug"), file);
  }
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", fromFileUrl(new URL("main.ts", root))],
    cwd: fromFileUrl(root),
  }).output();
  assertEquals(code, 0);
  assert(!new TextDecoder().decode(stdout).includes("denosaurs"));
});

Deno.test("shimPlaces are those of this checkout", () => {
  const { standalone, built, unpacked } = shimPlaces();
  assertEquals(standalone, false);
  assert(built.href.endsWith(`/native/build/${SHIM_FILE}`));
  assert(unpacked.endsWith("/utmost/native"));
});
