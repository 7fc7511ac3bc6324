/**
 * Memory that a display's thread and its owner share, beside the ledger: what the owner may want to
 * know at any time of a thread that blocks in a call, and what both of them decide together.
 */

/** Where each number is, in 32-bit cells. */
const CELL = {
  /** Commands that the owner has posted; the thread blocks only once it has had them all. */
  posted: 0,
  /** Whether a draw has to be acknowledged. */
  owed: 1,
  /** The descriptor of the thread's socket plus 1, for as long as the thread has it to close. */
  socket: 2,
  /** How often the picture has changed: turns in which it has. */
  changes: 3,
  /** The same, where what comes within 16 ms is one. */
  frames: 4,
  /** Whether the owner wants to be told of the next change. */
  armed: 5,
  /** News of what is shown that the owner has had. */
  answered: 6,
  /** Whether there is more of it. */
  pending: 7,
  /** Messages that have been handled. */
  handled: 8,
  messages: 9,
  acks: 10,
  malformed: 11,
  /** Whether somebody waits for a message to be handled. */
  isAwaited: 12,
} as const;
const CELLS = 14;
/** Numbers of 64 bits behind them. */
const WIDE = { bytes: 0, awaited: 1 } as const;
const BYTES = CELLS * 4 + 2 * 8;

/** Counts of a channel, as its thread tells them. */
export interface ChannelCounts {
  messages: number;
  bytes: number;
  acks: number;
  malformed: number;
}

/** The shared numbers of one display's thread. */
export class DisplayCells {
  /** The memory, to be given to the thread. */
  readonly memory: SharedArrayBuffer;
  readonly #cells: Int32Array;
  readonly #wide: BigInt64Array;

  /** @param memory That of the owner's; new when left out. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(BYTES)) {
    this.memory = memory;
    this.#cells = new Int32Array(memory, 0, CELLS);
    this.#wide = new BigInt64Array(memory, CELLS * 4, 2);
  }

  /** Commands that were posted so far. */
  get posted(): number {
    return Atomics.load(this.#cells, CELL.posted);
  }

  /** Counts a command that was posted. */
  post(): void {
    Atomics.add(this.#cells, CELL.posted, 1);
  }

  /** Whether a draw waits for its acknowledgement. */
  get isOwed(): boolean {
    return Atomics.load(this.#cells, CELL.owed) === 1;
  }

  /** Takes note of a draw that has to be acknowledged. */
  owe(): void {
    Atomics.store(this.#cells, CELL.owed, 1);
  }

  /** Takes it upon the caller to send the acknowledgement; false if nothing is owed any more. */
  takeOwed(): boolean {
    return Atomics.exchange(this.#cells, CELL.owed, 0) === 1;
  }

  /** Gives the thread a descriptor to close. */
  giveSocket(fd: number): void {
    Atomics.store(this.#cells, CELL.socket, fd + 1);
  }

  /** Takes it upon the caller to close the thread's descriptor; undefined if that is done. */
  takeSocket(): number | undefined {
    const fd = Atomics.exchange(this.#cells, CELL.socket, 0) - 1;
    return fd < 0 ? undefined : fd;
  }

  get changes(): number {
    return Atomics.load(this.#cells, CELL.changes);
  }

  get frames(): number {
    return Atomics.load(this.#cells, CELL.frames);
  }

  /** Counts a change. @returns Whether the owner has to be told. */
  change(isFrame: boolean): boolean {
    Atomics.add(this.#cells, CELL.changes, 1);
    if (isFrame) Atomics.add(this.#cells, CELL.frames, 1);
    return Atomics.load(this.#cells, CELL.armed) === 1 &&
      Atomics.exchange(this.#cells, CELL.armed, 0) === 1;
  }

  /** Has the owner told of the next change. */
  arm(): void {
    Atomics.store(this.#cells, CELL.armed, 1);
  }

  /** News of what is shown that the owner has had. */
  get answered(): number {
    return Atomics.load(this.#cells, CELL.answered);
  }

  /** The owner has had all news up to number `count`. @returns Whether the thread has more. */
  answer(count: number): boolean {
    Atomics.store(this.#cells, CELL.answered, count);
    return Atomics.load(this.#cells, CELL.pending) === 1;
  }

  set hasMore(hasMore: boolean) {
    Atomics.store(this.#cells, CELL.pending, hasMore ? 1 : 0);
  }

  /** Messages that have been handled. */
  get handled(): number {
    return Atomics.load(this.#cells, CELL.handled) >>> 0;
  }

  /** Counts of the channel. */
  get counts(): ChannelCounts {
    const count = (cell: number) => Atomics.load(this.#cells, cell) >>> 0;
    return {
      messages: count(CELL.messages),
      bytes: Number(Atomics.load(this.#wide, WIDE.bytes)),
      acks: count(CELL.acks),
      malformed: count(CELL.malformed),
    };
  }

  /** Tells the counts. @returns Whether somebody waits for a message that is handled by now. */
  tell({ messages, bytes, acks, malformed }: ChannelCounts, handled: number): boolean {
    const cells = this.#cells;
    Atomics.store(cells, CELL.messages, messages);
    Atomics.store(this.#wide, WIDE.bytes, BigInt(bytes));
    Atomics.store(cells, CELL.acks, acks);
    Atomics.store(cells, CELL.malformed, malformed);
    Atomics.store(cells, CELL.handled, handled);
    if (Atomics.load(cells, CELL.isAwaited) === 0) return false;
    if (BigInt(handled) < Atomics.load(this.#wide, WIDE.awaited)) return false;
    return Atomics.exchange(cells, CELL.isAwaited, 0) === 1;
  }

  /** Waits for message number `serial`, and for none before. */
  await(serial: bigint): void {
    Atomics.store(this.#wide, WIDE.awaited, serial);
    Atomics.store(this.#cells, CELL.isAwaited, 1);
  }
}
