// Which micro-batches a worker may start, and when: the groups it was permitted and the promise it
// gave when asked to cut. Permission is never altered for what was started.

import { assert } from '../../base/assert.ts';
import type { BatchNumber, GroupId, PlacementVersion } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type { StartGroup } from '../protocol/messages.ts';

export type PermittedGroup = {
  readonly group: GroupId;
  readonly version: PlacementVersion;
  readonly first: BatchNumber;
  /** Exclusive. */
  readonly end: BatchNumber;
  /** The only stage permitted; null: all. */
  readonly stage: number | null;
  readonly intervalMs: number;
  readonly anchorMs: number;
  readonly reportAt: BatchNumber;
  readonly final: boolean;
};

export class Permissions {
  #groups: PermittedGroup[] = [];
  /** Nothing from here on may start while a cut is being decided; Infinity when none is. */
  #promise = Infinity;
  #end: BatchNumber = noBatch;
  #lastGroup = -1;
  #finalBatch: BatchNumber = noBatch;

  /** The first micro-batch that is not permitted; -1 before any was. */
  get end(): BatchNumber {
    return this.#end;
  }

  /** The micro-batch in which all sources end; -1: none is permitted that would be the last. */
  get finalBatch(): BatchNumber {
    return this.#finalBatch;
  }

  /**
   * Groups follow one another without a gap; a repeated order is refused by `false`. It is known by
   * its group: after a cut, its micro-batches alone might look like the ones permitted next.
   */
  permit(order: StartGroup): boolean {
    if (order.group <= this.#lastGroup) return false;
    const sameBatch = order.stage !== null && order.first === this.#end - 1;
    const follows = this.#end === noBatch || order.first === this.#end || sameBatch;
    assert(follows, 'a group leaves a gap');
    this.#lastGroup = order.group;
    const { group, version, first, stage, intervalMs, anchorMs, reportAt, final } = order;
    const end = (first + order.count) as BatchNumber;
    this.#groups.push({ group, version, first, end, stage, intervalMs, anchorMs, reportAt, final });
    this.#end = end;
    if (final) this.#finalBatch = (end - 1) as BatchNumber;
    return true;
  }

  /** The group that permits a stage's tasks of a micro-batch to start, or null. */
  groupOf(batch: BatchNumber, stage: number): PermittedGroup | null {
    if (batch >= this.#promise) return null;
    for (const group of this.#groups) {
      if (batch >= group.end || (group.stage !== null && group.stage !== stage)) continue;
      return batch >= group.first ? group : null;
    }
    return null;
  }

  /** Planned trigger of a permitted micro-batch, ms; -Infinity when it follows the last at once. */
  static triggerMs(group: PermittedGroup, batch: BatchNumber): number {
    if (group.intervalMs === 0) return -Infinity;
    return group.anchorMs + (batch - group.first) * group.intervalMs;
  }

  /**
   * After a recovery: everything before `end` is permitted at once, whichever group it was of;
   * groups go on from there.
   */
  restart(
    end: BatchNumber,
    { version, final }: { version: PlacementVersion; final: boolean },
  ): void {
    this.#promise = Infinity;
    this.#end = end;
    this.#finalBatch = (final ? end - 1 : noBatch) as BatchNumber;
    this.#lastGroup = -1;
    this.#groups = [
      {
        group: this.#lastGroup as GroupId,
        version,
        first: 0 as BatchNumber,
        end,
        stage: null,
        intervalMs: 0,
        anchorMs: 0,
        reportAt: noBatch,
        final,
      },
    ];
  }

  promiseFrom(batch: BatchNumber): void {
    this.#promise = Math.min(this.#promise, batch);
  }

  /** Withdraws everything from `end` on and lifts the promise. */
  truncate(end: BatchNumber): void {
    this.#promise = Infinity;
    if (end >= this.#end) return;
    this.#groups = this.#groups
      .filter((group) => group.first < end)
      .map((group) => (group.end > end ? { ...group, end } : group));
    this.#end = end;
    if (this.#finalBatch >= end) this.#finalBatch = noBatch;
  }

  /**
   * Forgets groups that lie wholly before `batch`. Gives true when there was one that permitted all
   * stages: the driver waits for its end; the end of a stage alone is told by `stage-done`.
   */
  forgetBefore(batch: BatchNumber): boolean {
    let forgotten = false;
    while (this.#groups.length > 0 && this.#groups[0]!.end <= batch) {
      forgotten ||= this.#groups[0]!.stage === null;
      this.#groups.shift();
    }
    return forgotten;
  }
}
