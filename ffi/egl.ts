/** EGL: copies of the guest's buffers, made by the GPU. */
import { cString } from "./c_string.ts";
import { checked } from "./errno.ts";
import type { Shim } from "./load.ts";
import type { Scanout, ScanoutKind, ScanoutPart } from "./scanout.ts";

/** Whose EGL, as `UTM_EGL_*` of `native/utm_shim.h` numbers them. */
const APIS = ["auto", "mesa", "angle"] as const;

/**
 * Whose EGL: the system's (`mesa`, whoever made its driver), ANGLE, or the first of them that is there.
 */
export type EglApi = typeof APIS[number];

/** Window systems, as `UTM_WINDOW_*` of `native/utm_shim.h` numbers them. */
const WINDOW_SYSTEMS = [undefined, "x11", "wayland", "cocoa"] as const;

/** What a window belongs to. */
export type WindowSystem = NonNullable<typeof WINDOW_SYSTEMS[number]>;

/** How to open EGL. */
export interface EglOptions {
  api?: EglApi;
  /** Where the libraries are; left out: where the system looks, which macOS has no place for. */
  libraryFolder?: string;
  /** The GPU that buffers come from, as `/dev/dri/renderD128`; left out: any. */
  renderNode?: string;
}

/** How to open EGL for windows. */
export interface EglWindowOptions {
  api?: EglApi;
  /** Where the libraries are; left out: where the system looks. */
  libraryFolder?: string;
  system: WindowSystem;
  /** `Display *` of X11, `struct wl_display *`; null on macOS. Stays open until the context is closed. */
  display: Deno.PointerValue;
}

/** How a buffer becomes a source: copied from by the GPU, or read by the CPU at each copy. */
export type EglImport = "gpu" | "upload";

/** Kinds of exports, as `UTM_EXPORT_*` of `native/utm_shim.h` numbers them. */
const EXPORTS = [undefined, "dmabuf", "iosurface", "memory"] as const;

/** The picture as other processes can have it. */
export interface EglShare {
  kind: ScanoutKind;
  /** Pixels. */
  width: number;
  height: number;
  /** Bytes from one row to the next; 0 for an IOSurface, which knows. */
  stride: number;
  /** A DRM fourcc, or an IOSurface's own code. */
  fourcc: number;
  /** The descriptor's number, which the receiver owns and closes; -1 for an IOSurface. */
  fd: number;
  /** Names the IOSurface; 0 for the other kinds. */
  surfaceId: number;
}

/** What a context can do by itself. Source: `UTM_EGL_*` of `native/utm_shim.h`. */
export interface EglAbilities {
  /** The GPU copies from dmabufs. */
  importsDmabuf: boolean;
  /** The GPU copies from IOSurfaces. */
  importsIosurface: boolean;
  /** Its picture can be a dmabuf for others. */
  exportsDmabuf: boolean;
  /** The kernel keeps the guest from drawing into a buffer that is being copied from. */
  hasImplicitSync: boolean;
}

const REMADE = 1;
const DESCRIPTION_BYTES = 256;

/** A context, and the picture that it copies to; used in the thread that opened it. */
export class EglContext implements Disposable {
  readonly #shim: Shim;
  #pointer: Deno.PointerObject | null;
  readonly #cpuBytes = new BigUint64Array(1);
  readonly #cpuWords = new Uint32Array(this.#cpuBytes.buffer); // no bigint is made for a number
  #isRemade = false;
  #width = 0; // of the picture

  private constructor(shim: Shim, pointer: Deno.PointerObject) {
    this.#shim = shim;
    this.#pointer = pointer;
  }

  /**
   * Opens a context without a window.
   *
   * @throws {ShimCallError} `ENOENT`: there is no such library. `ENODEV`: it has no display. `ENOTSUP`: it
   * lacks what is needed.
   */
  static open(shim: Shim, options: EglOptions = {}): EglContext {
    const { api = "auto", libraryFolder, renderNode } = options;
    return EglContext.#opened(shim, (at) =>
      shim.symbols.utm_shim_egl_open(
        APIS.indexOf(api),
        cPath(libraryFolder),
        cPath(renderNode),
        at,
      ));
  }

  /** Opens a context that can {@linkcode present}. @throws {ShimCallError} as `open` */
  static openForWindows(shim: Shim, options: EglWindowOptions): EglContext {
    const { api = "auto", libraryFolder, system, display } = options;
    return EglContext.#opened(shim, (at) =>
      shim.symbols.utm_shim_egl_open_window_system(
        APIS.indexOf(api),
        cPath(libraryFolder),
        WINDOW_SYSTEMS.indexOf(system),
        display,
        at,
      ));
  }

  static #opened(shim: Shim, open: (at: BigUint64Array<ArrayBuffer>) => number): EglContext {
    const at = new BigUint64Array(1);
    checked(open(at), "open EGL");
    // SAFETY: the call has succeeded, so this is the address of a context that we own.
    const pointer = Deno.UnsafePointer.create(at[0]!);
    if (pointer === null) throw new TypeError("Cannot open EGL: its address is zero");
    return new EglContext(shim, pointer);
  }

  get #context(): Deno.PointerObject {
    if (this.#pointer === null) throw new TypeError("Cannot use EGL: it was closed");
    return this.#pointer;
  }

  /** Who drives it: vendor, renderer and version in one line. */
  describe(): string {
    const text = new Uint8Array(DESCRIPTION_BYTES);
    const { utm_shim_egl_describe } = this.#shim.symbols;
    const length = utm_shim_egl_describe(this.#context, text, text.length);
    return new TextDecoder().decode(text.subarray(0, checked(length, "ask EGL who it is")));
  }

  /** What it can do by itself. */
  get abilities(): EglAbilities {
    const bits = checked(
      this.#shim.symbols.utm_shim_egl_abilities(this.#context),
      "ask EGL what it can do",
    );
    return {
      importsDmabuf: (bits & 1) !== 0,
      importsIosurface: (bits & 2) !== 0,
      exportsDmabuf: (bits & 4) !== 0,
      hasImplicitSync: (bits & 8) !== 0,
    };
  }

  /**
   * Makes a buffer the source of copies, which may be closed meanwhile. One of the last few is not
   * imported anew.
   *
   * @throws {ShimCallError} `ENOTSUP`: its format or layout; `E2BIG`: larger than a texture can be;
   * `ENOMEM`. There is no source then, and the picture is as it was.
   */
  import(buffer: Scanout): EglImport {
    const { utm_shim_egl_import } = this.#shim.symbols;
    const how = utm_shim_egl_import(this.#context, buffer.pointer);
    checked(how, "import the guest's buffer");
    this.#width = buffer.width;
    return how === 1 ? "gpu" : "upload";
  }

  /** Lets go of the source and of all that was imported; the picture stays. */
  release(): void {
    checked(
      this.#shim.symbols.utm_shim_egl_import(this.#context, null),
      "let go of the guest's buffer",
    );
  }

  /**
   * Copies a part of the source to the picture, or all of it where that is due: after an import, a copy
   * that failed, a lost context. What lies outside is cut off. Returns once the guest may draw again.
   *
   * @returns The bytes that the CPU has copied.
   * @throws {ShimCallError} `ENOENT`: there is no source. `ETIMEDOUT`: the GPU takes its time. `EIO`.
   */
  copy(part: ScanoutPart): number {
    const { x, y, width, height } = part;
    const result = this.#shim.symbols.utm_shim_egl_copy(
      this.#context,
      x,
      y,
      width,
      height,
      this.#cpuBytes,
    );
    this.#isRemade = result === REMADE;
    checked(result, "copy the guest's picture");
    return this.#copiedBytes;
  }

  /** Whether the last copy was the first to a new picture: what was shared before is not it. */
  get isRemade(): boolean {
    return this.#isRemade;
  }

  get #copiedBytes(): number {
    return this.#cpuWords[0]! + this.#cpuWords[1]! * 2 ** 32;
  }

  /**
   * Reads the picture back.
   *
   * @param pixels As large as the picture: 0xffRRGGBB each, the top line first, without padding.
   * @returns The bytes that the CPU has copied.
   * @throws {ShimCallError} `ENOENT`: nothing was copied, or a lost context took it along. `EINVAL`:
   * `pixels` is too small.
   */
  read(pixels: Uint32Array): number {
    const result = this.#shim.symbols.utm_shim_egl_read(
      this.#context,
      pixels as Uint32Array<ArrayBuffer>,
      this.#width,
      BigInt(pixels.length),
      this.#cpuBytes,
    );
    checked(result, "read the picture back");
    return this.#copiedBytes;
  }

  /**
   * Hands the picture to other processes. It shows later copies as well, until one has made a new one;
   * what is shared as `memory` does once it is brought up to date.
   *
   * @throws {ShimCallError} `ENOENT`: there is no picture.
   */
  share(): EglShare {
    const fd = new Int32Array(1);
    const shape = new Uint32Array(5);
    const id = new Uint32Array(1);
    const { utm_shim_egl_export } = this.#shim.symbols;
    const kind = checked(utm_shim_egl_export(this.#context, fd, shape, id), "share the picture");
    return {
      kind: EXPORTS[kind] ?? "memory",
      width: shape[0]!,
      height: shape[1]!,
      stride: shape[2]!,
      fourcc: shape[3]!,
      fd: fd[0]!,
      surfaceId: id[0]!,
    };
  }

  /**
   * Brings what is shared as `memory` up to date, after which others may be told of the copies so far;
   * does nothing for other kinds.
   *
   * @returns The bytes that the CPU has copied.
   */
  refresh(): number {
    const result = this.#shim.symbols.utm_shim_egl_refresh(this.#context, this.#cpuBytes);
    checked(result, "bring the shared picture up to date");
    return this.#copiedBytes;
  }

  /**
   * Shows the picture in a window, as large as fits, in the middle of black.
   *
   * @param window An X11 window's id as a pointer, a `struct wl_egl_window *` or a `CALayer *`. It is held
   * until another is shown in, or null, which must come before it is destroyed.
   * @param interval For how many refreshes of the display this waits, where it can; 0 does not wait.
   * @throws {ShimCallError} `EINVAL`: it is no window of this display. `ENOTSUP`: this was opened without.
   */
  present(window: Deno.PointerValue, interval: number): void {
    checked(
      this.#shim.symbols.utm_shim_egl_present(this.#context, window, interval),
      "show the picture in a window",
    );
  }

  /** Closes it; what was shared stays for as long as others have it. */
  [Symbol.dispose](): void {
    if (this.#pointer === null) return;
    // SAFETY: the address is that of a context of ours, which nobody can reach from here on.
    this.#shim.symbols.utm_shim_egl_close(this.#pointer);
    this.#pointer = null;
  }
}

/** A path as C takes it; null for none. */
function cPath(path: string | undefined): Uint8Array<ArrayBuffer> | null {
  return path === undefined ? null : cString(path);
}
