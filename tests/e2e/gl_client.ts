/**
 * Our client as a program of its own, as `tests/e2e/line_client.ts` runs one: the product's own path,
 * with the display in its Worker.
 *
 * ```text
 * deno run -A tests/e2e/gl_client.ts PATH
 * ```
 *
 * It says "up" once it is attached, and answers each line with a line of JSON:
 *
 * ```text
 * (empty)         what it has counted: {displays, warnings}
 * picture N FILE  writes display N's picture as 0xffRRGGBB words: {width, height} or {why}
 * watch           from now on somebody looks at display 0: {}
 * unwatch         nobody looks any longer: {}
 * texture         what a viewer of display 0 is given, open until the end: {texture}
 * ```
 */
import { RemoteScreens } from "../../lib/vm/remote_screens.ts";

/** How long a picture may take to come. */
const PICTURE_MS = 5000;

const [path = ""] = Deno.args;
const warnings: string[] = [];
await using remote = await RemoteScreens.attach({ path }, {
  onWarning: (text) => warnings.push(text),
});
const { screens } = remote;
using lent = new DisposableStack();
let watch: Disposable | undefined;
/** A viewer is told of each frame: what it was lent is up to date then. */
let following: Disposable | undefined;

async function answer(line: string): Promise<unknown> {
  const [command, id = "0", file = ""] = line.split(" ");
  switch (command) {
    case "":
      return { displays: remote.displays, warnings };
    case "picture": {
      const [picture, why] = await screens.capture(Number(id), { timeoutMs: PICTURE_MS });
      if (picture === undefined) return { why };
      const { width, height, pixels } = picture;
      await Deno.writeFile(file, new Uint8Array(pixels.slice().buffer));
      return { width, height };
    }
    case "watch":
      watch ??= screens.watch(0);
      return {};
    case "unwatch":
      watch?.[Symbol.dispose]();
      watch = undefined;
      return {};
    case "texture": {
      const texture = await screens.texture(0, AbortSignal.timeout(PICTURE_MS));
      if (texture?.fd !== undefined) lent.use(texture.fd);
      following ??= lent.use(screens.follow(() => {}));
      return { texture: texture && { ...texture, fd: texture.fd?.number ?? -1 } };
    }
    default:
      throw new RangeError(`Cannot answer ${line}: no such command`);
  }
}

console.log("up");
let rest = "";
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\n");
  rest = lines.pop() ?? "";
  for (const line of lines) console.log(JSON.stringify(await answer(line)));
}
