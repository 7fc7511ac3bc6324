/** Compares `ffi/symbols.ts` with the header that it binds. */
import { assertEquals, assertGreater } from "@std/assert";
import { SHIM_ABI } from "../../ffi/load.ts";
import { SYMBOLS, WAITING } from "../../ffi/symbols.ts";

/** One function of a header. */
interface Prototype {
  name: string;
  result: string;
  parameters: { type: string; name: string }[];
}

const HEADER = new URL("../../native/utm_shim.h", import.meta.url);
const TABLE = new URL("../../ffi/symbols.ts", import.meta.url);

/** C's type of a parameter, with `[2]` and the like as a pointer, and its name. */
function parameter(text: string): { type: string; name: string } {
  const [, type = "", stars = "", name = "", array] =
    /^(.*?)\s*(\**)\s*(\w+)\s*(\[\d*\])?$/.exec(text.trim()) ?? [];
  return { type: `${type}${stars || array ? ` ${stars}` : ""}${array ? "*" : ""}`.trim(), name };
}

/** The functions that a header exports, in its order. */
function prototypes(header: string): Prototype[] {
  const code = header.replace(/\/\*[\s\S]*?\*\//g, " ").replace(/\s+/g, " ");
  return [...code.matchAll(/UTM_EXPORT (\w+) (\w+)\(([^)]*)\);/g)].map((
    [, result = "", name = "", list = ""],
  ) => ({
    name,
    result,
    parameters: list.trim() === "void" ? [] : list.split(",").map(parameter),
  }));
}

/** How C's type is bound. */
function bound(type: string): string {
  if (/^(u?int(8|16|32|64)_t)$/.test(type)) return type.replace(/^(u?)int(\d+)_t$/, boundInt);
  if (/^void \*$/.test(type) || /^struct \w+ \*$/.test(type)) return "pointer";
  return "buffer";
}

const boundInt = (_: string, unsigned: string, bits: string) => `${unsigned ? "u" : "i"}${bits}`;

const header = prototypes(await Deno.readTextFile(HEADER));

Deno.test("SYMBOLS has the header's functions, in its order", () => {
  assertGreater(header.length, 15);
  assertEquals(Object.keys(SYMBOLS), header.map(({ name }) => name));
});

Deno.test("SYMBOLS has each function's parameters and result", () => {
  for (const { name, result, parameters } of header) {
    const symbol: Deno.ForeignFunction = SYMBOLS[name as keyof typeof SYMBOLS];
    assertEquals(
      symbol.parameters.map(String),
      parameters.map(({ type }) => bound(type)),
      `parameters of ${name}`,
    );
    assertEquals(String(symbol.result), bound(result), `result of ${name}`);
  }
});

Deno.test("SYMBOLS names C's parameter beside each of its own", async () => {
  const table = await Deno.readTextFile(TABLE);
  for (const { name, parameters } of header) {
    const entry = new RegExp(`^  ${name}: \\{\n([\\s\\S]*?)^  \\},`, "m").exec(table); // in lines
    const comments = [...(entry?.[1] ?? "").matchAll(/^ {6}"\w+", \/\/ ([^,\n]*)/gm)].map((m) =>
      parameter(m[1] ?? "")
    );
    assertEquals(comments, parameters, `comments of ${name}`);
  }
});

Deno.test("WAITING has functions of SYMBOLS, nonblocking", () => {
  for (const [key, { name, nonblocking, parameters }] of Object.entries(WAITING)) {
    assertEquals(key, `${name}_async`);
    assertEquals(nonblocking, true);
    assertEquals(parameters, SYMBOLS[name].parameters);
  }
});

Deno.test("SHIM_ABI is the header's", async () => {
  const text = await Deno.readTextFile(HEADER);
  assertEquals(Number(/#define UTM_SHIM_ABI (\d+)/.exec(text)?.[1]), SHIM_ABI);
});

Deno.test("the header's reader sees pointers, arrays and lines that go on", () => {
  const [one] = prototypes(
    "/* UTM_EXPORT int32_t no(void); */\nUTM_EXPORT int32_t f(const uint8_t *a,\n  uint32_t b[5], " +
      "struct utm_egl **c, void *d, int32_t e);",
  );
  assertEquals(one?.parameters, [
    { type: "const uint8_t *", name: "a" },
    { type: "uint32_t *", name: "b" },
    { type: "struct utm_egl **", name: "c" },
    { type: "void *", name: "d" },
    { type: "int32_t", name: "e" },
  ]);
  assertEquals(one?.parameters.map(({ type }) => bound(type)), [
    "buffer",
    "buffer",
    "buffer",
    "pointer",
    "i32",
  ]);
});
