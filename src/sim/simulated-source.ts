// One partition of a simulated source: a fixed number of records, which turn up in portions and at
// times drawn from the seed. What is in them is the business of the task runner.

import type { Random } from '../base/random.ts';

/** Which of its records a source partition gives to a micro-batch. */
export type ChosenRange = {
  readonly from: number;
  readonly to: number;
  readonly ended: boolean;
};

export type SourceModel = {
  readonly recordsPerTakeMax: number;
  /** Share of takes after which nothing can be read for a while. */
  readonly quietChance: number;
  readonly quietMsMax: number;
};

export class SimulatedSource {
  readonly #random: Random;
  readonly #model: SourceModel;
  readonly #recordCount: number;
  #taken = 0;
  #ended = false;
  #quiet = false;

  constructor(options: {
    readonly random: Random;
    readonly model: SourceModel;
    readonly recordCount: number;
    /** It goes on behind what was read before. */
    readonly from: { readonly to: number; readonly ended: boolean };
  }) {
    this.#taken = options.from.to;
    this.#ended = options.from.ended;
    this.#random = options.random;
    this.#model = options.model;
    this.#recordCount = options.recordCount;
  }

  get ready(): boolean {
    return !this.#quiet;
  }

  /** Something can be read again. */
  awake(): void {
    this.#quiet = false;
  }

  take({ final, holdsBack }: { final: boolean; holdsBack: boolean }): ChosenRange {
    const from = this.#taken;
    if (this.#ended) return { from, to: from, ended: true };
    const ready = this.#quiet ? 0 : this.#random.integer(0, this.#model.recordsPerTakeMax);
    const wanted = holdsBack ? Math.min(1, ready) : ready;
    this.#taken = Math.min(from + wanted, this.#recordCount);
    // The end is sometimes noticed with the last record, sometimes only later.
    const noticed = this.#taken === this.#recordCount && this.#random.chance(0.5);
    this.#ended = final || noticed;
    return { from, to: this.#taken, ended: this.#ended };
  }

  /** After a take: for how long nothing can be read now, ms; 0 when something can. */
  quietMs(): number {
    if (this.#ended || this.#quiet || !this.#random.chance(this.#model.quietChance)) return 0;
    this.#quiet = true;
    return this.#random.float() * this.#model.quietMsMax;
  }
}
