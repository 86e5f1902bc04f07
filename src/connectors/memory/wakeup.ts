// Tells a reader's one listener, in a later microtask, that something can be taken.

export class Wakeup {
  #listener: (() => void) | null = null;
  #pending = false;

  listen(listener: () => void): void {
    this.#listener = listener;
  }

  /** Several calls before the microtask runs are one. */
  wake(): void {
    if (this.#pending || this.#listener === null) return;
    this.#pending = true;
    queueMicrotask(() => {
      this.#pending = false;
      this.#listener?.();
    });
  }
}
