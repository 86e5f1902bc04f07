// How long tasks have had of one turn of the event loop, whatever called for them: a message, a
// timer, or one of many promises that are settled on end and never let the loop go on.

export class Turn {
  readonly #lengthMs: number;
  readonly #nowMs: () => number;
  #beganMs: number | null = null;

  constructor(lengthMs: number, nowMs: () => number) {
    this.#lengthMs = lengthMs;
    this.#nowMs = nowMs;
  }

  /** The turn begins with the first question; messages and files get theirs before the next. */
  isOver(): boolean {
    const nowMs = this.#nowMs();
    if (this.#beganMs !== null) return nowMs - this.#beganMs > this.#lengthMs;
    this.#beganMs = nowMs;
    setImmediate(() => {
      this.#beganMs = null;
    });
    return false;
  }
}
