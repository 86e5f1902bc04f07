// A process that can be stopped between any two of its steps, for good or for a while. Whoever is
// tested calls `step` around each thing that the world outside can notice.

/** What a step of a killed process throws: nobody is there any more to handle it. */
export class Killed extends Error {
  override name = 'Killed';
}

export type Halt =
  | { readonly kind: 'never' }
  /** Dies right before the step of this number, or in the middle of it, where it has one. */
  | { readonly kind: 'kill'; readonly step: number }
  /** Stands still before the step of this number, until `goOn`; may die so many steps later. */
  | { readonly kind: 'pause'; readonly step: number; readonly diesAfter: number };

export class HaltingProcess {
  readonly #halt: Halt;
  readonly #paused = Promise.withResolvers<void>();
  readonly #resumed = Promise.withResolvers<void>();
  #steps = 0;
  #isDead = false;
  #onDeath: (() => void)[] = [];

  constructor(halt: Halt = { kind: 'never' }) {
    this.#halt = halt;
  }

  /** Whether it came to the step at which it was to stop. */
  get halted(): boolean {
    return this.#halt.kind !== 'never' && this.#steps > this.#halt.step;
  }

  /** Nothing that it does is seen any more. */
  get isDead(): boolean {
    return this.#isDead;
  }

  /** Resolves when it stands still. */
  get paused(): Promise<void> {
    return this.#paused.promise;
  }

  goOn(): void {
    this.#resumed.resolve();
  }

  /** What the world sees of a death: connections break. */
  onDeath(listener: () => void): void {
    this.#onDeath.push(listener);
  }

  async step<Result>(act: () => Promise<Result>, half?: () => Promise<void>): Promise<Result> {
    const step = this.#next();
    if (this.#halt.kind === 'pause' && step === this.#halt.step) {
      this.#paused.resolve();
      await this.#resumed.promise;
    }
    if (step !== this.#lastStep()) return act();
    await half?.();
    throw this.#die();
  }

  /** A step that cannot wait. */
  stepNow<Result>(act: () => Result): Result {
    if (this.#next() === this.#lastStep()) throw this.#die();
    return act();
  }

  #next(): number {
    if (this.#isDead) throw new Killed();
    return this.#steps++;
  }

  #lastStep(): number {
    if (this.#halt.kind === 'never') return Infinity;
    return this.#halt.step + (this.#halt.kind === 'pause' ? this.#halt.diesAfter : 0);
  }

  #die(): Killed {
    this.#isDead = true;
    for (const listener of this.#onDeath) listener();
    return new Killed();
  }
}
