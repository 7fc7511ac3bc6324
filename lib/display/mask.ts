/** Masks: bitmaps of one bit a pixel that say which pixels of a box are drawn. */

/** Bits in rows of whole bytes. */
export interface MaskRows {
  /** Bits of a row that count. */
  width: number;
  height: number;
  /** Bytes from one row to the next. */
  strideBytes: number;
  /** `strideBytes * height` bytes. */
  data: Uint8Array;
  /** Whether the first row is the top one. */
  isTopDown: boolean;
  /** Whether the leftmost of eight pixels is the highest bit. */
  isMsbFirst: boolean;
}

/** A mask that is looked at. */
export class MaskBits {
  readonly width: number;
  readonly height: number;
  readonly #rows: MaskRows;
  readonly #inverse: boolean;

  /** @param isInverse Whether the pixels whose bits are 0 are drawn. */
  constructor(rows: MaskRows, isInverse: boolean) {
    this.width = rows.width;
    this.height = rows.height;
    this.#rows = rows;
    this.#inverse = isInverse;
  }

  /**
   * Returns the first column from `x` on, before `end`, whose pixel is drawn (or is not); `end` if
   * there is none. All of them lie within the mask.
   */
  find(isDrawn: boolean, x: number, end: number, y: number): number {
    const { data, strideBytes, height, isTopDown, isMsbFirst } = this.#rows;
    const start = strideBytes * (isTopDown ? y : height - 1 - y);
    const wanted = isDrawn !== this.#inverse;
    const without = wanted ? 0x00 : 0xff; // a byte with none of those looked for
    while (x < end) {
      const byte = data[start + (x >> 3)]!;
      if ((x & 7) === 0 && byte === without) {
        x += 8;
        continue;
      }
      const bit = isMsbFirst ? 0x80 >> (x & 7) : 1 << (x & 7);
      if (((byte & bit) !== 0) === wanted) return x;
      x++;
    }
    return end;
  }
}
