// What a worker keeps outside itself: the ranges it chose, in the range log, and the state of its
// partitions, in the store of checkpoints. A chain of deltas begins with a base again now and then,
// so that restoring stays short.

import type { Incarnation, PlacementVersion, WorkerId } from '../../control/protocol/ids.ts';
import { termOf } from '../../control/protocol/ids.ts';
import type { Place, TaskName } from '../../control/protocol/messages.ts';
import type { Reach } from '../../control/protocol/template.ts';
import { deltasMax } from '../../control/limits.ts';
import type { StateSnapshot } from '../../data/task/partition-state.ts';
import type { RangeRecord } from '../../data/task/task.ts';
import type { PhysicalPlan } from '../../plan/physical-plan.ts';
import type { RangeLogWriter } from '../../ports/range-log.ts';
import { CheckpointStore } from '../storage/checkpoint-store.ts';
import type { OpenDurability } from './durable-job.ts';
import { logName } from './durable-job.ts';
import { encodeRanges } from './range-codec.ts';
import type { SnapshotHandle, SnapshotObject } from './snapshot-handle.ts';

export type WorkerStorageOptions = {
  readonly open: OpenDurability;
  readonly plan: PhysicalPlan;
  readonly worker: WorkerId;
  readonly incarnation: Incarnation;
  readonly nowMs: () => number;
};

export class WorkerStorage {
  readonly #options: WorkerStorageOptions;
  readonly #checkpoints: CheckpointStore;
  /** Where each placement has a log of its own, that of the last one. */
  #writer: { readonly of: string; readonly log: RangeLogWriter } | null = null;
  /** Of writers before it. */
  #closing: Promise<unknown> = Promise.resolve();
  /** By stage and partition: records of the open task's parts. */
  readonly #parts = new Map<string, RangeRecord[]>();
  /** By stage and partition: what the next delta goes on from. */
  readonly #chains = new Map<string, readonly SnapshotObject[]>();
  /** By stage and partition: the write that counts; an older one may end later. */
  readonly #writes = new Map<string, symbol>();

  constructor(options: WorkerStorageOptions) {
    this.#options = options;
    const { open, plan, nowMs } = options;
    this.#checkpoints = new CheckpointStore(open.store, {
      pipeline: plan.name,
      nowMs,
      // Whoever chooses a checkpoint, the driver, has warned already.
      warn: () => {},
    });
  }

  /** Resolves when the ranges of the task are durable; null: another part of it will follow. */
  logRange(
    record: { readonly task: TaskName; readonly last: boolean; readonly range: RangeRecord },
    by: { readonly version: PlacementVersion; readonly reach: Reach },
  ): Promise<void> | null {
    const { task, last, range } = record;
    const name = nameOf(task);
    const parts = [...(this.#parts.get(name) ?? []), range];
    if (!last) {
      this.#parts.set(name, parts);
      return null;
    }
    this.#parts.delete(name);
    const { source, partition, batch } = range;
    const bytes = encodeRanges(source, parts);
    return this.#log(by).append([{ source, partition, batch, record: bytes }]);
  }

  /** What the next snapshot of a partition may be: a delta only while the chain is short. */
  kindFor(place: Place): 'base' | 'delta' {
    const chain = this.#chains.get(nameOf(place)) ?? [];
    return chain.length > 0 && chain.length <= deltasMax ? 'delta' : 'base';
  }

  /**
   * Resolves with where it lies, and what it goes on from. `version`: the placement it works by,
   * for no driver deletes what was written for a later one.
   */
  async write(
    place: Place,
    snapshot: StateSnapshot,
    version: PlacementVersion,
  ): Promise<SnapshotHandle> {
    const { worker, incarnation } = this.#options;
    const { kind, batch, bytes } = snapshot;
    const name = nameOf(place);
    const chain = this.#chains.get(name) ?? [];
    // The next delta is refused until this one is written: what it goes on from must be there.
    this.#chains.delete(name);
    const write = Symbol(name);
    this.#writes.set(name, write);
    const writer = { term: termOf(version), worker, incarnation };
    const object = await this.#checkpoints.writeState(writer, { ...place, batch, kind }, bytes);
    const objects = kind === 'base' ? [object] : [...chain, object];
    if (this.#writes.get(name) === write) this.#chains.set(name, objects);
    return { objects };
  }

  async read({ objects }: SnapshotHandle): Promise<readonly Uint8Array[]> {
    return Promise.all(objects.map((object) => this.#checkpoints.readState(object)));
  }

  /** The partition is made anew: from a snapshot, or from nothing. */
  restored(place: Place, from: SnapshotHandle | null): void {
    this.#parts.delete(nameOf(place));
    this.#writes.delete(nameOf(place));
    this.#chains.set(nameOf(place), from?.objects ?? []);
  }

  async close(): Promise<void> {
    await this.#closing;
    // What could not be written was told to whoever gave it.
    await this.#writer?.log.close().catch(() => {});
    await this.#options.open.close();
  }

  #log(by: { readonly version: PlacementVersion; readonly reach: Reach }): RangeLogWriter {
    const { open, worker, incarnation } = this.#options;
    const { reach, version } = by;
    // Where survivors keep what they have, they keep their log.
    const of = reach === 'all' ? `v${version}` : '';
    if (this.#writer?.of === of) return this.#writer.log;
    // Where every recovery begins a new one, nothing more is added to those before.
    const former = this.#writer?.log;
    if (former !== undefined) {
      this.#closing = Promise.all([this.#closing, former.close().catch(() => {})]);
    }
    const term = termOf(version);
    const name = logName({ term, worker, incarnation, ...by });
    const log = open.log.writer(name, term);
    this.#writer = { of, log };
    return log;
  }
}

function nameOf({ stage, partition }: Place): string {
  return `${stage}/${partition}`;
}
