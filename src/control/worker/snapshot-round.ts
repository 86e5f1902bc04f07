// The state of one worker's partitions as of one micro-batch: taken by each when its task of the
// micro-batch is done, stored in the background, and told to the driver when all are.

import type { BatchNumber } from '../protocol/ids.ts';
import type { Handle, PartitionSnapshot, Place } from '../protocol/messages.ts';

export class SnapshotRound {
  readonly batch: BatchNumber;
  readonly #partitionCount: number;
  /** By `stage/partition`: the record of its last range, when its state was taken. */
  readonly #ranges = new Map<string, Handle | null>();
  readonly snapshots: PartitionSnapshot[] = [];

  constructor(batch: BatchNumber, partitionCount: number) {
    this.batch = batch;
    this.#partitionCount = partitionCount;
  }

  taken({ stage, partition }: Place, range: Handle | null): void {
    this.#ranges.set(`${stage}/${partition}`, range);
  }

  /** All of them are stored. */
  get complete(): boolean {
    return this.snapshots.length === this.#partitionCount;
  }

  stored({ stage, partition }: Place, snapshot: Handle): void {
    const range = this.#ranges.get(`${stage}/${partition}`) ?? null;
    this.snapshots.push({ stage, partition, snapshot, range });
  }
}
