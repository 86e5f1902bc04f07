// The range log of a simulation: records by source task, closed for a worker when it is declared
// dead. What was under way then is lost, and a dead worker is not told that it is durable. A range
// that was chosen once is never chosen anew: a second record of a task must be equal.

import { assert } from '../base/assert.ts';
import { canonicalJson } from '../base/canonical-json.ts';
import type { BatchNumber } from '../control/protocol/ids.ts';
import type { Handle, KnownRanges, TaskName } from '../control/protocol/messages.ts';

type Logged = { readonly parts: Handle[]; whole: boolean };

type Place = {
  readonly batches: Map<number, Logged>;
  /** No record is missing through this micro-batch. */
  through: number;
};

export class SimulatedLog {
  /** By `stage/partition`, then by micro-batch. */
  readonly #places = new Map<string, Place>();
  /** By writer: what it is writing now; parts of a micro-batch that is not whole. */
  readonly #closed = new Set<string>();
  #covered = -1;
  /** Writers of placements before this one are closed, all of them. */
  #closedBefore = 0;

  /** Makes a record durable; false when the writer's log is closed. */
  append(writer: string, record: LogRecord): boolean {
    if (this.#closed.has(writer) || record.since < this.#closedBefore) return false;
    const { task, part, last, range } = record;
    const name = `${task.stage}/${task.partition}`;
    let place = this.#places.get(name);
    if (place === undefined) {
      this.#places.set(name, (place = { batches: new Map(), through: this.#covered }));
    }
    const { batches } = place;
    let logged = batches.get(task.batch);
    if (logged?.whole === true) {
      const same = canonicalJson(logged.parts[part]) === canonicalJson(range);
      assert(same, `${writer} chooses the range of s${name}@${task.batch} anew`);
    }
    // A new attempt at a micro-batch of which only some parts were known.
    if (logged === undefined || (!logged.whole && part === 0)) {
      batches.set(task.batch, (logged = { parts: [], whole: false }));
    }
    if (!logged.whole && part === logged.parts.length) {
      logged.parts.push(range);
      logged.whole = last;
    }
    advance(place, this.#covered);
    return true;
  }

  closeBefore(since: number): void {
    this.#closedBefore = Math.max(this.#closedBefore, since);
  }

  /** The writers of a run that has ended write nothing more; those of the next one are others. */
  reopen(): void {
    this.#closed.clear();
    this.#closedBefore = 0;
  }

  close(writer: string): void {
    this.#closed.add(writer);
  }

  /** What is known of a source task, if all of it is. */
  rangesOf(stage: number, partition: number, batch: number): readonly Handle[] | null {
    const logged = this.#places.get(`${stage}/${partition}`)?.batches.get(batch);
    return logged?.whole === true ? logged.parts : null;
  }

  /** A checkpoint holds what ranges through this micro-batch have led to. */
  coverThrough(batch: number): void {
    this.#covered = batch;
    for (const place of this.#places.values()) advance(place, batch);
  }

  /** The ranges of a source partition are durable through this micro-batch. */
  durableThrough(stage: number, partition: number): number {
    return this.#places.get(`${stage}/${partition}`)?.through ?? this.#covered;
  }

  /** Everything after a micro-batch, as far as none is missing. */
  read(after: BatchNumber): readonly KnownRanges[] {
    return Array.from(this.#places, ([name, { batches }]) => {
      const [stage, partition] = name.split('/').map(Number);
      const first = (after + 1) as BatchNumber;
      const ranges: (readonly Handle[])[] = [];
      for (let batch: number = first; batches.get(batch)?.whole === true; batch++) {
        ranges.push([...batches.get(batch)!.parts]);
      }
      return { stage: stage!, partition: partition!, first, ranges };
    });
  }

  /** Adds what survivors knew. */
  add(known: readonly KnownRanges[]): void {
    for (const { stage, partition, first, ranges } of known) {
      ranges.forEach((parts, index) => {
        const batch = (first + index) as BatchNumber;
        parts.forEach((range, part) => {
          const task = { stage, partition, batch };
          const last = part === parts.length - 1;
          this.append('driver', { task, since: Infinity, part, last, range });
        });
      });
    }
  }
}

function advance(place: Place, covered: number): void {
  place.through = Math.max(place.through, covered);
  while (place.batches.get(place.through + 1)?.whole === true) place.through++;
}

export type LogRecord = {
  readonly task: TaskName;
  readonly since: number;
  readonly part: number;
  readonly last: boolean;
  readonly range: Handle;
};
