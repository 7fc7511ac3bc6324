/** A VM without a QEMU, for what is done with its guest. */
import type { Ending } from "../../lib/vm/ending.ts";
import type { GuestOf } from "../../lib/vm/guest_access.ts";
import type { VmState } from "../../lib/vm/state.ts";

/** A VM that runs until it is told to end. */
export class FakeGuest implements GuestOf {
  readonly identity = { id: "a1b2c3d4", name: "hello", uuid: "", bundle: "/hello.utm" };
  state: VmState = "running";
  readonly #gone = new AbortController();
  readonly #ended = Promise.withResolvers<Ending>();
  readonly gone: AbortSignal = this.#gone.signal;
  readonly ended: Promise<Ending> = this.#ended.promise;

  /** The guest has shut down. */
  end(): void {
    this.state = "stopped";
    this.#gone.abort(new DOMException("the VM has ended", "AbortError"));
    this.#ended.resolve({ reason: "guest-shutdown" });
  }
}
