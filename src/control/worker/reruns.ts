// Lost source tasks that a worker runs again after a recovery: every worker derives its own share
// from the one order that all of them get.

import { assert } from '../../base/assert.ts';
import { rerunsAheadMax } from '../limits.ts';
import type { BatchNumber, WorkerId } from '../protocol/ids.ts';
import type { Handle, Place } from '../protocol/messages.ts';
import type { Recovery } from '../protocol/recovery.ts';
import { rerunnersOf } from '../protocol/recovery.ts';
import type { Rerun } from './local-partition.ts';

type RangeOf = (place: Place, batch: BatchNumber) => readonly Handle[] | null;

/** In the order of their micro-batches, since consumers repeat one after the other. */
export class Reruns {
  /** The last one first. There may be thousands: none is looked at before its turn. */
  readonly #waiting: Rerun[];
  #underWay: readonly Rerun[] = [];

  constructor(reruns: readonly Rerun[]) {
    this.#waiting = reruns.toSorted((a, b) => b.next - a.next);
    this.#refill();
  }

  /** The next few. */
  get underWay(): readonly Rerun[] {
    return this.#underWay;
  }

  finished(rerun: Rerun): void {
    this.#underWay = this.#underWay.filter((other) => other !== rerun);
    this.#refill();
  }

  #refill(): void {
    const more = Math.min(rerunsAheadMax - this.#underWay.length, this.#waiting.length);
    if (more === 0) return;
    const next = this.#waiting.splice(-more).toReversed();
    this.#underWay = [...this.#underWay, ...next];
  }
}

export function rerunsOn(worker: WorkerId, recovery: Recovery, rangeOf: RangeOf): Rerun[] {
  const reruns: Rerun[] = [];
  const rerunnerOf = rerunnersOf(recovery);
  for (const { stage, partition, spans } of recovery.reruns) {
    const place = { stage, partition };
    for (const { first, end } of spans) {
      for (let next = first; next < end; next++) {
        if (rerunnerOf(place, next) !== worker) continue;
        const ranges = rangeOf(place, next);
        assert(ranges !== null, 'a source task that runs again has a range');
        const before = rangeBefore(place, { batch: next, recovery, rangeOf });
        reruns.push({ kind: 'rerun', ...place, next, ranges, part: 0, before, state: 'waiting' });
      }
    }
  }
  return reruns;
}

function rangeBefore(
  place: Place,
  from: { readonly batch: BatchNumber; readonly recovery: Recovery; readonly rangeOf: RangeOf },
): Handle | null {
  const parts = from.rangeOf(place, (from.batch - 1) as BatchNumber);
  if (parts !== null) return parts.at(-1) ?? null;
  const snapshot = from.recovery.snapshots.find(
    ({ stage, partition }) => stage === place.stage && partition === place.partition,
  );
  return snapshot?.range ?? null;
}
