/**
 * A display whose pictures come as buffers on the GPU: what is done with each scanout and draw.
 *
 * The guest's GPU stands still from a draw until its acknowledgement. So each draw is acknowledged
 * exactly once, and at once: after a copy on the GPU where somebody looks, without looking at the
 * buffer at all where nobody does, and whatever goes wrong in between.
 */
import { ShimCallError } from "../../ffi/errno.ts";
import { UtmostError } from "../base/errors.ts";
import type {
  GlDriver,
  GlPipeline,
  GuestBuffer,
  PixelRect,
  ScanoutShape,
  SharedTexture,
} from "./gl_interfaces.ts";
import type { GlLedger } from "./gl_ledger.ts";

/** What a scanout's buffer may fail for, by the code of opening it, and whether it is replaced anyway. */
const FAILURES: Readonly<Record<string, { text: string; isPassing?: true }>> = {
  ESTALE: { text: "it has been replaced before it was looked at", isPassing: true },
  ENOENT: { text: "there is no such surface, or it is not shared", isPassing: true },
  EINVAL: { text: "its size is impossible" },
  ENOTSUP: { text: "its pixel format is not known" },
  EBADF: { text: "its descriptor is not one of a picture" },
  EPROTO: { text: "its pipe does not hold the number of a surface" },
};
const NO_DESCRIPTOR = "it came without a descriptor";
/** So many copies of one buffer may fail: the first may be due to a context that was lost. */
const MAX_FAILURES = 2;

/** A picture read back: 0xffRRGGBB, the top line first, without padding. */
export interface GlPicture {
  width: number;
  height: number;
  pixels: Uint32Array<ArrayBuffer>;
}

/** Options of {@linkcode GlScanouts}. */
export interface GlScanoutsOptions<F extends Disposable, B extends GuestBuffer> {
  driver: GlDriver<F, B>;
  ledger: GlLedger;
  /** Acknowledges a draw: called once for each, after its copy. */
  onDone: () => void;
  /** Called when the picture, its size, or whether there is one may have changed. */
  onChange: () => void;
  /** Is told once for each kind of thing that goes wrong. */
  onWarning?: (text: string) => void;
}

/** The scanouts of one display; owns the guest's buffer, and EGL once that is needed. */
export class GlScanouts<F extends Disposable = Disposable, B extends GuestBuffer = GuestBuffer>
  implements Disposable {
  readonly #options: GlScanoutsOptions<F, B>;
  readonly #ledger: GlLedger;
  #buffer: B | undefined;
  /** Why there is no buffer although the guest shows something. */
  #problem: string | undefined;
  /** Whether the buffer came through an earlier connection, and this one has not named it yet. */
  #isEarlier = false;
  /** What the guest shows of its scanouts; undefined as long as it has not said. */
  #heads: readonly PixelRect[] | undefined;
  #isWatched = false;
  #pipeline: GlPipeline<B> | undefined;
  /** Whether EGL cannot be had. */
  #hasNoPipeline = false;
  /** Imports and copies of the buffer that have failed. */
  #failures = 0;
  /** Whether the buffer is the pipeline's source. */
  #isImported = false;
  /** Whether our texture holds all of the buffer but for what the next draw tells. */
  #isCopied = false;
  /** Whether somebody may show our texture. */
  #isLent = false;
  readonly #told = new Set<string>();

  constructor(options: GlScanoutsOptions<F, B>) {
    this.#options = options;
    this.#ledger = options.ledger;
  }

  /** The part of the guest's buffer that is shown, in its pixels; undefined if nothing is. */
  get visible(): PixelRect | undefined {
    const buffer = this.#buffer;
    if (buffer === undefined || this.#isEarlier) return undefined;
    const whole = { x: 0, y: 0, width: buffer.width, height: buffer.height };
    if (this.#heads === undefined) return whole;
    const hull = this.#heads.reduce<PixelRect | undefined>(
      (sum, head) => sum === undefined ? head : hullOf(sum, head),
      undefined,
    );
    return hull && intersectionOf(hull, whole);
  }

  /** Whether the guest has said that it shows nothing. */
  get isOff(): boolean {
    return this.#heads?.length === 0;
  }

  /** Whether the guest's picture comes through scanouts now, shown or not. */
  get isActive(): boolean {
    return this.#buffer !== undefined && !this.#isEarlier || this.#problem !== undefined;
  }

  /**
   * GL_SCANOUT_UNIX: another buffer, or the same once more.
   *
   * @param fd What it came with, which is taken over; undefined if nothing came.
   */
  scanout(shape: ScanoutShape, fd: F | undefined): void {
    this.#ledger.scanout();
    const isBack = this.#isEarlier;
    const failed = this.#open(shape, fd);
    if (failed !== undefined) this.#fail(failed);
    else if (isBack && this.#isWatched) this.#copyNow(); // what was drawn meanwhile is told by no draw
    this.#options.onChange();
  }

  /** @returns What has gone wrong. */
  #open(shape: ScanoutShape, fd: F | undefined): { text: string; isPassing?: true } | undefined {
    if (fd === undefined) return { text: NO_DESCRIPTOR };
    const { driver } = this.#options;
    let opened: B | undefined;
    try {
      opened = driver.openBuffer(fd, shape, this.#buffer);
    } catch (error) {
      return failureOf(error);
    }
    this.#isEarlier = false;
    if (opened === undefined) return undefined; // the same once more
    const before = this.#buffer;
    const isResized = before?.width !== opened.width || before.height !== opened.height;
    // What was said of another buffer, or of none, does not hold; the server says it anew afterwards.
    if (isResized || this.#heads?.length === 0) this.#heads = undefined;
    this.#replace(opened);
    this.#ledger.buffer(opened.kind);
    return undefined;
  }

  #replace(buffer: B | undefined): void {
    this.#buffer?.[Symbol.dispose]();
    this.#buffer = buffer;
    this.#problem = undefined;
    this.#isEarlier = false;
    this.#failures = 0;
    this.#isImported = false;
    this.#isCopied = false;
  }

  #fail({ text, isPassing }: { text: string; isPassing?: true }): void {
    const problem = `the guest's buffer cannot be shown: ${text}`;
    this.#warn(problem);
    if (isPassing) return; // the picture before stays until the next scanout, which is on its way
    this.#replace(undefined);
    this.#problem = problem;
  }

  /** MONITORS_CONFIG: which parts are shown; with none of them the scanout is off. */
  heads(heads: readonly PixelRect[]): void {
    this.#heads = heads.filter(({ width, height }) => width > 0 && height > 0);
    if (this.isActive) this.#options.onChange();
  }

  /** GL_DRAW: a part has changed. Acknowledges it in every case. */
  draw(part: PixelRect): void {
    const ledger = this.#ledger;
    ledger.draw();
    ledger.stage = "draw";
    try {
      if (this.#isWatched) this.#copy(part);
      else this.#isCopied = false;
    } finally {
      ledger.stage = "idle";
      this.#options.onDone();
    }
    if (this.#buffer !== undefined) this.#options.onChange();
  }

  /** Says whether somebody looks: then draws are copied to our texture, else nothing is done. */
  watch(isWatched: boolean): void {
    if (this.#isWatched === isWatched) return;
    this.#isWatched = isWatched;
    this.#isLent = false;
    if (!isWatched) return;
    this.#hasNoPipeline = false; // it is tried once more
    this.#failures = 0;
    this.#copyNow();
  }

  /** Copies all of the buffer beside the draws. */
  #copyNow(): void {
    this.#copy();
    this.#ledger.stage = "idle";
  }

  /**
   * Copies a part to our texture, or all of it where a part alone would not do or none is named. What
   * goes wrong is told, and leaves the texture as it is.
   */
  #copy(part?: PixelRect): void {
    const buffer = this.#buffer;
    if (buffer === undefined || this.#failures >= MAX_FAILURES) return;
    const pipeline = this.#openPipeline();
    if (pipeline === undefined) return;
    try {
      this.#import(pipeline, buffer);
      const whole = { x: 0, y: 0, width: buffer.width, height: buffer.height };
      const damage = part && this.#isCopied ? intersectionOf(part, whole) : whole;
      if (damage === undefined) return;
      this.#ledger.stage = "copy";
      const from = performance.now();
      this.#ledger.cpu(pipeline.copy(damage));
      if (pipeline.isRemade) this.#ledger.texture();
      this.#ledger.copy((performance.now() - from) * 1000);
      this.#isCopied = true;
    } catch (error) {
      const reason = reasonOf(error);
      // A buffer that cannot be imported never will be, and the next one may well be.
      this.#failures = this.#isImported ? this.#failures + 1 : MAX_FAILURES;
      if (this.#isImported) this.#closePipeline();
      this.#warn(`the guest's picture cannot be copied: ${reason}`);
    }
  }

  #import(pipeline: GlPipeline<B>, buffer: B): void {
    if (this.#isImported) return;
    this.#ledger.stage = "import";
    pipeline.import(buffer);
    this.#ledger.import();
    this.#isImported = true;
    this.#isCopied = false;
  }

  #openPipeline(): GlPipeline<B> | undefined {
    if (this.#pipeline !== undefined || this.#hasNoPipeline) return this.#pipeline;
    try {
      return this.#pipeline = this.#options.driver.openPipeline();
    } catch (error) {
      this.#hasNoPipeline = true;
      this.#warn(`the guest's picture cannot be copied on the GPU: ${reasonOf(error)}`);
      return undefined;
    }
  }

  #closePipeline(): void {
    this.#pipeline?.[Symbol.dispose]();
    this.#pipeline = undefined;
    this.#isImported = false;
    this.#isCopied = false;
  }

  /**
   * The picture that the guest shows now. Where nobody looks, its buffer is imported for that.
   *
   * @returns Why there is none.
   */
  picture(): GlPicture | string {
    const [buffer, visible] = [this.#buffer, this.visible];
    if (buffer === undefined) return this.#problem ?? "the guest has not set a scanout";
    if (visible === undefined) return "the guest shows nothing";
    const { width, height } = visible;
    try {
      const pixels = this.#readBack(buffer, visible);
      return { width, height, pixels };
    } catch (error) {
      return `the guest's buffer cannot be read: ${reasonOf(error)}`;
    } finally {
      this.#ledger.stage = "idle";
    }
  }

  #readBack(buffer: B, visible: PixelRect): Uint32Array<ArrayBuffer> {
    // Plain memory would only be uploaded to be read back.
    if (buffer.kind !== "memory" && !this.#isCopied) this.#copy();
    const pipeline = this.#pipeline;
    if (pipeline !== undefined && this.#isCopied) {
      const whole = new Uint32Array(buffer.width * buffer.height);
      this.#ledger.stage = "read";
      this.#isCopied = false; // if this fails the picture may be lost, and is copied the next time
      this.#ledger.cpu(pipeline.read(whole));
      this.#isCopied = this.#isWatched; // what is drawn unwatched is not copied
      return cropped(whole, buffer.width, visible);
    }
    if (buffer.kind === "dmabuf") {
      this.#warn(
        "the guest's picture is read by the CPU, which is right only if its GPU keeps it line by line",
      );
    }
    const pixels = new Uint32Array(visible.width * visible.height);
    this.#ledger.stage = "read";
    this.#ledger.cpu(buffer.read(visible, pixels));
    return pixels;
  }

  /**
   * Our texture, for others to show; it is the same until the size of the guest's buffer changes.
   *
   * @returns undefined where nobody watches, there is no picture, or it cannot be lent, which is told.
   */
  texture(): SharedTexture | undefined {
    if (!this.#isWatched) return undefined;
    if (!this.#isCopied) this.#copyNow();
    this.#isLent = this.#isCopied;
    if (!this.#isCopied) return undefined;
    try {
      return this.#pipeline?.share();
    } catch (error) {
      this.#isLent = false;
      this.#warn(`the guest's picture cannot be lent: ${reasonOf(error)}`);
      return undefined;
    }
  }

  /** Brings what was lent up to date, before somebody is told of draws that were acknowledged. */
  refresh(): void {
    if (!this.#isLent || !this.#isCopied) return;
    try {
      this.#ledger.stage = "read";
      this.#ledger.cpu(this.#pipeline?.refresh() ?? 0);
    } catch (error) {
      this.#warn(`the guest's picture cannot be lent: ${reasonOf(error)}`);
    } finally {
      this.#ledger.stage = "idle";
    }
  }

  /** Lets go of the buffer: the guest shows something else. */
  drop(): void {
    this.#replace(undefined);
    this.#pipeline?.release();
    this.#heads = undefined;
  }

  /**
   * A new connection, which says anew what is shown. The buffer is kept for the case that it is that
   * one still: on macOS its pipe tells the surface to whoever reads it first, and never again.
   */
  restart(): void {
    this.#heads = undefined;
    this.#problem = undefined;
    this.#isEarlier = this.#buffer !== undefined;
    this.#isCopied = false;
  }

  #warn(text: string): void {
    if (this.#told.has(text)) return;
    this.#told.add(text);
    this.#options.onWarning?.(text);
  }

  [Symbol.dispose](): void {
    this.#closePipeline();
    this.#replace(undefined);
  }
}

/** @throws what is not a failure of the native side: a defect. */
function failureOf(error: unknown): { text: string; isPassing?: true } {
  if (!(error instanceof ShimCallError)) throw error;
  return FAILURES[error.code ?? ""] ?? { text: error.message };
}

/** @throws what is not a failure of the native side: a defect. */
function reasonOf(error: unknown): string {
  if (!(error instanceof UtmostError)) throw error;
  return error.message;
}

function hullOf(a: PixelRect, b: PixelRect): PixelRect {
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
  return {
    x,
    y,
    width: Math.max(a.x + a.width, b.x + b.width) - x,
    height: Math.max(a.y + a.height, b.y + b.height) - y,
  };
}

function intersectionOf(a: PixelRect, b: PixelRect): PixelRect | undefined {
  const [x, y] = [Math.max(a.x, b.x), Math.max(a.y, b.y)];
  const width = Math.min(a.x + a.width, b.x + b.width) - x;
  const height = Math.min(a.y + a.height, b.y + b.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : undefined;
}

/** Returns a part of a picture; the picture itself if that is all of it. */
function cropped(
  pixels: Uint32Array<ArrayBuffer>,
  rowPixels: number,
  { x, y, width, height }: PixelRect,
): Uint32Array<ArrayBuffer> {
  if (width * height === pixels.length) return pixels;
  const part = new Uint32Array(width * height);
  for (let row = 0; row < height; row++) {
    const from = (y + row) * rowPixels + x;
    part.set(pixels.subarray(from, from + width), row * width);
  }
  return part;
}
