// The trace of a run: every message, task and commit as a line. Two runs of one seed have equal
// traces. Where nobody reads it, nothing is written: lines are a good part of a run's time.

export class Trace {
  readonly #onLine: ((line: string) => void) | null;
  #low = 0x811c9dc5;
  #high = 0x01000193;
  #count = 0;

  constructor(onLine: ((line: string) => void) | null = null) {
    this.#onLine = onLine;
  }

  /** Somebody reads it: otherwise lines need not be made. */
  get wanted(): boolean {
    return this.#onLine !== null;
  }

  get count(): number {
    return this.#count;
  }

  /** FNV-1a over two differently started words. */
  get fingerprint(): string {
    return [this.#high, this.#low]
      .map((word) => (word >>> 0).toString(16).padStart(8, '0'))
      .join('');
  }

  note(line: string): void {
    if (this.#onLine === null) return;
    this.#count++;
    this.#onLine(line);
    for (let index = 0; index < line.length; index++) this.#mix(line.charCodeAt(index));
    this.#mix(10);
  }

  #mix(code: number): void {
    this.#low = Math.imul(this.#low ^ code, 0x01000193);
    this.#high = Math.imul(this.#high ^ (code + (this.#low >>> 15)), 0x01000193);
  }
}
