// Snapshots without the pipeline that wrote them: state as data, and a base in place of a base and
// its deltas. What they say of themselves is enough; no user's function runs.

import { assert } from '../../base/assert.ts';
import type { FunctionId } from '../../expr/expr.ts';
import type { CustomAggregate, UserFunction } from '../../plan/bindings.ts';
import type { SourceId } from '../../plan/logical-plan.ts';
import type { AggregateDescription } from '../../plan/state-spec.ts';
import type { RowObject, RowValue } from '../../schema/data-type.ts';
import type { Vector } from '../columnar/batch.ts';
import { rowAt, valueAt } from '../columnar/rows.ts';
import { damagedState } from '../snapshot/snapshot-errors.ts';
import { decodeSnapshot } from '../snapshot/snapshot-file.ts';
import type { SnapshotHeader } from '../snapshot/snapshot-file.ts';
import { savedAggregate, savedCustom } from '../snapshot/state-description.ts';
import type { BroadcastDescription, StateDescription } from '../snapshot/state-description.ts';
import type { Accumulator } from '../state/accumulator.ts';
import { BroadcastTable } from '../state/broadcast-table.ts';
import { createKeyedState } from '../state/keyed-state.ts';
import type { KeyedState } from '../state/keyed-state.ts';
import { keyFieldsOf } from '../state/keyed-table.ts';
import type { StateGroups } from '../state/state-part.ts';
import { InputWatermark } from './input-watermark.ts';
import { PartitionState } from './partition-state.ts';
import { SourceRecord } from './source-record.ts';
import type { RangeRecord } from './task.ts';

/** The state of one stage partition. */
export type SavedState = {
  readonly description: StateDescription;
  readonly partition: number;
  /** Of the stage; 0 for a source, which has as many as it has. */
  readonly partitionCount: number;
  /** The last micro-batch in it. */
  readonly batch: number;
  /** Of a source partition: the record of its last micro-batch. */
  readonly source: RangeRecord | null;
  /** Of any other one. */
  readonly watermarkMs: number | null;
  /** Keyed state, in the order of panes and groups, or of sessions; or what was broadcast. */
  readonly rows: Iterable<StateRow>;
};

/** One group of a pane, one session, or one row of a broadcast stream. */
export type StateRow = {
  readonly operator: string;
  /** Of the pane (which for tumbling windows is the window) or session; null: no window. */
  readonly startMs: number | null;
  readonly endMs: number | null;
  readonly keys: RowObject;
  /** What each aggregate comes to so far; of a custom one, its accumulator. Or other columns. */
  readonly values: RowObject;
};

/** Reads a base and the deltas behind it. Throws as `TaskExecutor.restore` does. */
export function readState(snapshots: readonly Uint8Array[]): SavedState {
  const { header, whole, source, input, keyed, table } = loadState(snapshots);
  const { description, partition, partitionCount } = header;
  return {
    description,
    partition,
    partitionCount,
    batch: whole.batch!,
    source: source === null ? null : source.record,
    watermarkMs: input === null ? null : input.watermarkMs,
    rows: { [Symbol.iterator]: () => rowsOf({ keyed, table }, description) },
  };
}

/** One base of the same state, behind which the next delta fits as it did behind the last one. */
export function compactState(snapshots: readonly Uint8Array[]): Uint8Array {
  return loadState(snapshots).whole.compacted();
}

export type LoadedState = {
  readonly header: SnapshotHeader;
  readonly whole: PartitionState;
  readonly source: SourceRecord | null;
  readonly input: InputWatermark | null;
  readonly keyed: KeyedState | null;
  readonly table: BroadcastTable | null;
};

/** Reads a base and the deltas behind it as what can be written again. */
export function loadState(snapshots: readonly Uint8Array[]): LoadedState {
  assert(snapshots.length > 0, 'there is something to read');
  const header = decodeSnapshot(snapshots[0]!);
  const { description, partition, partitionCount } = header;
  const { aggregate, producers, broadcast } = description;
  const isSource = producers.length === 0;
  const source = isSource
    ? new SourceRecord(description.operator as SourceId, partition, null)
    : null;
  const input = isSource
    ? null
    : new InputWatermark(producers.map((count) => ({ first: 0, count })));
  const keyed = aggregate === null ? null : freshState(aggregate);
  const table = broadcast === undefined ? null : broadcastTable(broadcast);
  const parts = [source, input, keyed, table].filter((part) => part !== null);
  const whole = new PartitionState({ description, partition, partitionCount }, parts);
  whole.restore(snapshots);
  return { header, whole, source, input, keyed, table };
}

function broadcastTable({ columns, keys }: BroadcastDescription): BroadcastTable {
  try {
    const fields = columns.map((column) => ({ ...column, path: [column.name] }));
    return new BroadcastTable({ fields }, keys);
  } catch (cause) {
    throw damagedState(`its description has another form (${String(cause)})`);
  }
}

/** Keyed state without the pipeline: nothing can be added to it, but what was saved. */
export function freshState(description: AggregateDescription): KeyedState {
  const bound: UserFunction = { kind: 'aggregate', aggregate: unboundAggregate };
  const functions = new Map<FunctionId, UserFunction>([[savedCustom, bound]]);
  try {
    const aggregate = savedAggregate(description);
    return createKeyedState({ aggregate, schema: { fields: [] }, functions });
  } catch (cause) {
    throw damagedState(`its description has another form (${String(cause)})`);
  }
}

/** Accumulators of users are read and written as they are; nothing is added to them here. */
const unboundAggregate: CustomAggregate = {
  init: () => null,
  add: (state) => state,
  merge: (left) => left,
  result: () => null,
};

/** Groups that are made rows at once. */
const groupsAtOnce = 1024;

function* rowsOf(
  { keyed, table }: Pick<LoadedState, 'keyed' | 'table'>,
  description: StateDescription,
): Generator<StateRow> {
  for (const groups of keyed?.contents() ?? []) {
    for (let from = 0; from < groups.groups.length; from += groupsAtOnce) {
      yield* rowsFrom(groups, from, description);
    }
  }
  if (table !== null) yield* broadcastRows(table, description);
}

function* broadcastRows(
  table: BroadcastTable,
  { operator, broadcast }: StateDescription,
): Generator<StateRow> {
  const batch = table.contents();
  const isKey = new Set(broadcast!.keys);
  for (let row = 0; row < batch.rowCount; row++) {
    const all = Object.entries(rowAt(batch, row));
    const keys = Object.fromEntries(all.filter(([name]) => isKey.has(name)));
    const values = Object.fromEntries(all.filter(([name]) => !isKey.has(name)));
    yield { operator, startMs: null, endMs: null, keys, values };
  }
}

function* rowsFrom(
  table: StateGroups,
  from: number,
  { operator, aggregate }: StateDescription,
): Generator<StateRow> {
  const { keys, accumulators } = table;
  const { aggregates, keys: keyColumns } = savedAggregate(aggregate!);
  const fields = keyFieldsOf({ keys: keyColumns });
  const keyBatch = { schema: { fields }, rowCount: keys.count, vectors: keys.keyVectors() };
  const groups = table.groups.subarray(from, from + groupsAtOnce);
  const results = accumulators.map((accumulator) => resultOf(accumulator, groups));
  for (let index = 0; index < groups.length; index++) {
    const values = aggregates.map(({ name, type }, at): [string, RowValue] => {
      const result = results[at]!;
      const value = Array.isArray(result) ? result[index]! : valueAt(result, type, index);
      return [name, value];
    });
    yield {
      operator,
      startMs: table.startMs(from + index),
      endMs: table.endMs(from + index),
      keys: rowAt(keyBatch, table.keyRows[from + index]!),
      values: Object.fromEntries(values),
    };
  }
}

function resultOf(accumulator: Accumulator, groups: Int32Array): Vector | RowValue[] {
  if (accumulator.kind !== 'custom') return accumulator.result(groups);
  return Array.from(groups, (group) => accumulator.savedState(group));
}
