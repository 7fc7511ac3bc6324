import { assertEquals } from "@std/assert";
import { nearest, printable, quoted } from "../../lib/base/text.ts";

Deno.test("printable replaces control characters and cuts long text", () => {
  assertEquals(printable("a\u001b[31mb\u0085\n"), "a\ufffd[31mb\ufffd\ufffd");
  assertEquals(printable("abcdef", 3), "abc…");
});

Deno.test("quoted puts text in quotes", () => {
  assertEquals(quoted("virtio-vga"), '"virtio-vga"');
});

Deno.test("nearest finds a slip of the keyboard and nothing far away", () => {
  assertEquals(nearest("hedless", ["headless", "help"]), "headless");
  assertEquals(nearest("xyzzy", ["headless", "help"]), undefined);
  assertEquals(nearest("foo", ["o", "f1"]), undefined);
  assertEquals(nearest("ö", ["1", "o"]), undefined);
  assertEquals(nearest("rnu", ["help", "run"]), "run");
  assertEquals(nearest("rat", ["ret", "alt"]), "ret");
});
