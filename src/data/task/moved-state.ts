// State in another place: an operator that has another id now, or another number of partitions. The
// hash of a key says where it is, and each partition has one stretch of all hashes, so that only a
// few partitions of before have to be read for one of now. No user's function runs.

import { assert } from '../../base/assert.ts';
import { partitionOf } from '../shuffle/hash.ts';
import { mismatchedState, restoreError } from '../snapshot/snapshot-errors.ts';
import type { KeyedState } from '../state/keyed-state.ts';
import { PaneState } from '../state/pane-state.ts';
import { SessionState } from '../state/session-state.ts';
import { PartitionState } from './partition-state.ts';
import { freshState, loadState } from './saved-state.ts';
import type { LoadedState } from './saved-state.ts';
import { SourceRecord } from './source-record.ts';
import type { SourceId } from '../../plan/logical-plan.ts';

export type StatePlace = {
  /** Id of the operator, or source. */
  readonly operator: string;
  readonly stage: number;
  readonly partition: number;
  /** Of the stage. */
  readonly partitionCount: number;
};

/** The partitions of before that hold keys of a partition of now. */
export function partitionsBehind(
  { partition, partitionCount }: Pick<StatePlace, 'partition' | 'partitionCount'>,
  former: number,
): readonly number[] {
  const first = Math.floor((partition * former) / partitionCount);
  const end = Math.ceil(((partition + 1) * former) / partitionCount);
  return Array.from({ length: end - first }, (_, index) => first + index);
}

/**
 * One base of the state of `to`. `chains`: of keyed state, what each of `partitionsBehind` has; of
 * all else, that of one partition: a base and deltas. Throws as `TaskExecutor.restore` does, and
 * `state-mismatch` where partitions have come to different watermarks.
 */
export function moveState(chains: readonly (readonly Uint8Array[])[], to: StatePlace): Uint8Array {
  try {
    return moved(chains.map(loadState), to);
  } catch (error) {
    throw restoreError(error, to.operator, to.partition);
  }
}

function moved(all: readonly LoadedState[], to: StatePlace): Uint8Array {
  const [first] = all;
  assert(first !== undefined, 'there is something to move');
  const { operator, stage, partition } = to;
  const batch = first.whole.batch!;
  assert(
    all.every(({ whole }) => whole.batch === batch),
    'all partitions are as of one micro-batch',
  );
  const description = { ...first.header.description, operator, stage };
  const source = first.source === null ? null : recordOf(first.source, to);
  const partitionCount = source === null ? to.partitionCount : 0;
  const keyed = keyedOf(all, to);
  const parts = [source, first.input, keyed, first.table].filter((part) => part !== null);
  const whole = new PartitionState({ description, partition, partitionCount }, parts);
  return whole.snapshot(batch, 'base').bytes;
}

function recordOf({ record }: SourceRecord, { operator, partition }: StatePlace): SourceRecord {
  const source = operator as SourceId;
  return new SourceRecord(source, partition, { ...record!, source, partition });
}

function keyedOf(all: readonly LoadedState[], to: StatePlace): KeyedState | null {
  const { aggregate } = all[0]!.header.description;
  if (aggregate === null) return null;
  const watermarks = new Set(all.map(({ input }) => input!.watermarkMs));
  if (watermarks.size > 1) {
    throw mismatchedState('its partitions have come to different watermarks');
  }
  const state = freshState(aggregate);
  const isWanted = (hash: number): boolean => partitionOf(hash, to.partitionCount) === to.partition;
  for (const { keyed } of all) absorb(state, keyed!, isWanted);
  return state;
}

function absorb(state: KeyedState, other: KeyedState, isWanted: (hash: number) => boolean): void {
  if (state instanceof PaneState && other instanceof PaneState) state.absorb(other, isWanted);
  else if (state instanceof SessionState && other instanceof SessionState) {
    state.absorb(other, isWanted);
  } else throw mismatchedState('its partitions have windows of different kinds');
}
