import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { BundleError } from "../../lib/base/errors.ts";
import { parsePlist, type PlistValue } from "../../lib/utm/plist.ts";
import { MAX_PLIST_BYTES, MAX_PLIST_DEPTH } from "../../lib/utm/plist_value.ts";
import { toBinaryPlist } from "../fakes/binary_plist.ts";
import { toXmlPlist } from "../fakes/xml_plist.ts";

const encoder = new TextEncoder();
const HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n' +
  '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n';

const parse = (text: string) => parsePlist(encoder.encode(text), "config.plist");
/** The value of the key `x` in a dictionary. */
const parseValue = async (xml: string) =>
  (await parse(`${HEAD}<plist version="1.0"><dict><key>x</key>${xml}</dict></plist>`)).get("x");

const VALUES: [string, PlistValue][] = [
  ["<string>a &lt;&amp;&#x1F642; b</string>", "a <&🙂 b"],
  ["<string/>", ""],
  ["<string> <![CDATA[<raw>]]><!-- not this --> </string>", " <raw> "],
  ["<integer>-12</integer>", -12],
  ["<integer> +0x1F </integer>", 31],
  ["<integer>-0</integer>", 0],
  ["<integer>9223372036854775807</integer>", 9223372036854775807n],
  ["<integer>18446744073709551615</integer>", 18446744073709551615n],
  ["<real>1.5e3</real>", 1500],
  ["<real>-inf</real>", -Infinity],
  ["<real>nan</real>", NaN],
  ["<true/>", true],
  ["<false></false>", false],
  ["<date>2026-05-01T12:00:00Z</date>", new Date("2026-05-01T12:00:00Z")],
  ["<data>\n\tAAEC\n\t/w==\n</data>", new Uint8Array([0, 1, 2, 255])],
  ["<array><true/><array/></array>", [true, []]],
  ["<dict/>", new Map()],
];

for (const [xml, value] of VALUES) {
  Deno.test(`parsePlist reads ${JSON.stringify(xml)}`, async () => {
    assertEquals(await parseValue(xml), value);
  });
}

const BROKEN: [name: string, text: string, message: string][] = [
  ["an empty file", "", "line 1, column 1"],
  ["another format", "{ a = b; }", 'begins with "{ a = b; }"'],
  ["a file cut short", `${HEAD}<plist><dict><key>x</key>`, "line 3, column 26: missing end tag"],
  ["another root", "<html></html>", "the root element is <html>, expected <plist>"],
  ["no value", "<plist/>", "<plist> is empty"],
  ["two values", "<plist><dict/><dict/></plist>", "column 15: <dict> follows"],
  ["a root of another type", "<plist><array/></plist>", "its root is an array, expected a dict"],
  ["a key without value", "<plist><dict><key>a</key></dict></plist>", 'key "a" has no value'],
  [
    "a key twice",
    "<plist><dict>\n<key>a</key><true/>\n<key>a</key><false/></dict></plist>",
    'line 3, column 1: the key "a" is there twice',
  ],
  ["a value without key", "<plist><dict><true/></dict></plist>", "is <true>, expected <key>"],
  ["loose text", "<plist><dict>x</dict></plist>", 'text "x" in <dict>'],
  ["an unknown element", "<plist><dict><key>a</key><nil/></dict></plist>", "the element is <nil>"],
  [
    "a number that is none",
    "<plist><dict><key>a</key><integer>1.5</integer></dict></plist>",
    '<integer> is "1.5", expected a whole number',
  ],
  [
    "an entity",
    "<plist><string>&secret;</string></plist>",
    "named entity is not defined: &secret;",
  ],
  [
    "an external entity",
    '<!DOCTYPE plist [<!ENTITY x SYSTEM "file:///etc/passwd">]><plist><string>&x;</string></plist>',
    "declares entities of its own",
  ],
  [
    "a billion laughs",
    '<!DOCTYPE plist [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><plist><string>&b;</string></plist>',
    "declares entities of its own",
  ],
  ["a character XML forbids", "<plist><string>&#0;</string></plist>", "line 1"],
  ["another encoding", '<?xml version="1.0" encoding="Shift_JIS"?><plist/>', '"Shift_JIS"'],
];

for (const [name, text, message] of BROKEN) {
  Deno.test(`parsePlist refuses ${name}`, async () => {
    const error = await assertRejects(() => parse(text), BundleError, message);
    assert(error.message.startsWith("Cannot read config.plist: "), error.message);
  });
}

Deno.test("parsePlist reads UTF-16 and a UTF-8 byte order mark", async () => {
  const text =
    '<?xml version="1.0" encoding="UTF-16"?><plist><dict><key>ä</key><true/></dict></plist>';
  for (const littleEndian of [true, false]) {
    const bytes = new Uint8Array(2 + 2 * text.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, 0xfeff, littleEndian);
    [...text].forEach((char, at) => view.setUint16(2 + 2 * at, char.charCodeAt(0), littleEndian));
    assertEquals(await parsePlist(bytes, "x"), new Map([["ä", true]]));
  }
  assertEquals(await parse("\ufeff<plist><dict/></plist>"), new Map());
});

Deno.test("parsePlist refuses bytes that are not UTF-8", async () => {
  const bytes = Uint8Array.from([...encoder.encode("<plist><dict>"), 0xff, 0xc0]);
  await assertRejects(() => parsePlist(bytes, "x"), BundleError, "not valid UTF-8");
});

Deno.test("parsePlist gives no meaning to keys that JavaScript knows", async () => {
  const keys = ["__proto__", "constructor", "toString", "hasOwnProperty"];
  const dict = keys.map((key) => `<key>${key}</key><dict><key>polluted</key><true/></dict>`);
  const xml = await parse(`<plist><dict>${dict.join("")}</dict></plist>`);
  assertEquals([...xml.keys()], keys);
  const inner = new Map([["polluted", true]]);
  await parsePlist(toBinaryPlist(new Map(keys.map((key) => [key, inner]))), "x");
  assertEquals(Object.getOwnPropertyNames(Object.prototype).includes("polluted"), false);
  assertEquals(({} as Record<string, unknown>).polluted, undefined);
});

Deno.test("parsePlist limits depth, count and size, and stays quick", async () => {
  const nest = (depth: number) =>
    `<plist><dict><key>x</key>${"<array>".repeat(depth)}${"</array>".repeat(depth)}</dict></plist>`;
  await parse(nest(MAX_PLIST_DEPTH - 2));
  await assertRejects(() => parse(nest(MAX_PLIST_DEPTH - 1)), BundleError, "nest 65 deep");
  await assertRejects(() => parse(nest(200_000)), BundleError, "nest 65 deep");
  // Quotes in an attribute and text in a comment must not hide an element.
  const sly = '<array a="/>" b="<!--">'.repeat(70) + "</array>".repeat(70);
  await assertRejects(() => parse(`<plist>${sly}</plist>`), BundleError, "deep");
  const many = `<plist><array>${"<true/>".repeat(400_000)}</array></plist>`;
  await assertRejects(() => parse(many), BundleError, "more than");
  const large = new Uint8Array(MAX_PLIST_BYTES + 1);
  await assertRejects(() => parsePlist(large, "x"), BundleError, "bytes, expected");
});

Deno.test("parsePlist reads back what is written as XML and as binary", async () => {
  await fc.assert(
    fc.asyncProperty(plistDict, async (dict) => {
      assertEquals(await parsePlist(encoder.encode(toXmlPlist(dict)), "x"), dict);
      assertEquals(await parsePlist(toBinaryPlist(dict), "x"), dict);
    }),
    { numRuns: 60 },
  );
});

Deno.test("parsePlist answers a damaged file with a dictionary or a BundleError", async () => {
  const dict = new Map<string, PlistValue>([
    ["Name", "größer"],
    ["List", [1, 2 ** 40, true, new Date(0), new Uint8Array(20), "x".repeat(40)]],
    ["Dict", new Map([["a", 1.5]])],
  ]);
  const files = [toBinaryPlist(dict), encoder.encode(toXmlPlist(dict))];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...files),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.option(fc.nat(), { freq: 4 }),
      async (file, changes, cut) => {
        const bytes = file.slice(0, cut === null ? undefined : cut % file.length);
        for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
        await onlyBundleErrors(parsePlist(bytes, "x"));
      },
    ),
    { numRuns: 2000 },
  );
});

/** Waits for `work`; anything but a {@linkcode BundleError} is passed on. */
async function onlyBundleErrors(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof BundleError)) throw error;
  }
}

const xmlText = fc.string({ unit: "binary", maxLength: 12 }).filter((text) =>
  // deno-lint-ignore no-control-regex
  !/[\u0000-\u0008\u000b-\u001f\ufffe\uffff]/.test(text) && text.isWellFormed()
);
const plistDict = fc.letrec<{ value: PlistValue; dict: Map<string, PlistValue> }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.boolean(),
    xmlText,
    fc.integer(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
    fc.double({ noNaN: true, noInteger: true, noDefaultInfinity: true }),
    fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }).map((date) =>
      new Date(Math.floor(date.getTime() / 1000) * 1000)
    ),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => new Uint8Array(bytes)),
    fc.array(tie("value"), { maxLength: 4 }),
    tie("dict"),
  ),
  dict: fc.array(fc.tuple(xmlText.filter((key) => key !== "__proto__"), tie("value")), {
    maxLength: 5,
  }).map((entries) => new Map(entries)),
})).dict;

/** A binary property list from raw objects and a trailer. */
function binary(
  objects: number[][],
  trailer: Partial<Record<"count" | "top" | "table", number>> = {},
) {
  const offsets: number[] = [];
  const body = [...encoder.encode("bplist00")];
  for (const object of objects) {
    offsets.push(0, 0, body.length >> 8, body.length & 0xff);
    body.push(...object);
  }
  const { count = objects.length, top = 0, table = body.length } = trailer;
  const tail = new Uint8Array(32);
  const view = new DataView(tail.buffer);
  view.setUint8(6, 4);
  view.setUint8(7, 1);
  view.setBigUint64(8, BigInt(count));
  view.setBigUint64(16, BigInt(top));
  view.setBigUint64(24, BigInt(table));
  return Uint8Array.from([...body, ...offsets, ...tail]);
}

const HOSTILE: [name: string, bytes: Uint8Array, message: string][] = [
  ["nothing but a header", encoder.encode("bplist00"), "ends before its trailer"],
  ["another version", encoder.encode("bplist15".padEnd(60, "\0")), "header is not that of version"],
  ["a huge object count", binary([[0xd0]], { count: 2 ** 52 }), "objects, expected 1 to 32768"],
  ["no object", binary([], { count: 0 }), "there are 0 objects"],
  ["a root that is not there", binary([[0xd0]], { top: 7 }), "the root is object 7 of 1"],
  ["an offset table outside", binary([[0xd0]], { table: 4000 }), "offset table is at 4000"],
  ["an array in itself", binary([[0xa1, 0]]), "contain themselves"],
  ["a dictionary in itself", binary([[0xd1, 1, 0], [0x51, 0x61]]), "contain themselves"],
  ["a reference to nothing", binary([[0xa1, 9]]), "reference to object 9 of 1"],
  [
    "a string longer than the file",
    binary([[0x5f, 0x13, 255, 255, 255, 255, 255, 255, 255, 255]]),
    "longer",
  ],
  [
    "an array longer than the file",
    binary([[0xaf, 0x12, 0x7f, 255, 255, 255]]),
    "longer than the file",
  ],
  ["a key that is no string", binary([[0xd1, 1, 1], [0x09]]), "a key is not a string"],
  ["a key twice", binary([[0xd2, 1, 1, 2, 2], [0x51, 0x61], [0x09]]), 'the key "a" is there twice'],
  ["a set", binary([[0xc0]]), "type is 0xc"],
  ["null", binary([[0x00]]), "neither true nor false"],
  ["a number of 2^15 bytes", binary([[0x1f]]), "an integer has 32768 bytes"],
  ["a root of another type", binary([[0x09]]), "its root is the boolean true"],
];

for (const [name, bytes, message] of HOSTILE) {
  Deno.test(`parsePlist refuses a binary file with ${name}`, async () => {
    await assertRejects(() => parsePlist(bytes, "x"), BundleError, message);
  });
}

Deno.test("parsePlist refuses binary files whose references multiply", async () => {
  // Each array holds the next one fifteen times: 15^20 values in 400 bytes.
  const laughs = Array.from({ length: 20 }, (_, at) => [0xae, ...Array(14).fill(at + 1)]);
  await assertRejects(
    () => parsePlist(binary([...laughs, [0x09]]), "x"),
    BundleError,
    "values once",
  );
  // One text of 48 KiB, 1024 times.
  const array = [0xaf, 0x11, 4, 0, ...Array(1024).fill(1)];
  const text = [0x5f, 0x12, 0, 0, 0xc0, 0, ...Array(0xc000).fill(0x61)];
  const bytes = binary([array, text]);
  await assertRejects(() => parsePlist(bytes, "x"), BundleError, "bytes once references");
});

Deno.test("parsePlist refuses every truncation of a binary file", async () => {
  const whole = toBinaryPlist(new Map<string, PlistValue>([["Name", "x"], ["List", [1, true]]]));
  for (let length = 0; length < whole.length; length++) {
    await assertRejects(() => parsePlist(whole.slice(0, length), "x"), BundleError);
  }
});
