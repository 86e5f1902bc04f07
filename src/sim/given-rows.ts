// A pipeline whose sources give rows from memory instead of what they read: so that any pipeline
// runs in the simulator.

import type { Bindings } from '../plan/bindings.ts';
import type { LogicalPlan, SourceId, SourceSpec } from '../plan/logical-plan.ts';
import type { Sink } from '../ports/sink.ts';
import type { Source } from '../ports/source.ts';
import type { RowObject } from '../schema/data-type.ts';
import { rowNester } from '../schema/nested-rows.ts';
import { SimulatedRows } from './simulated-rows.ts';

/** The rows of a source, by partition. */
export type GivenRows = readonly (readonly RowObject[])[];

export type WithGivenRows = {
  readonly logical: LogicalPlan;
  readonly bindings: Bindings<Source, Sink>;
  /** The latest event time of all rows, epoch ms; 0 where rows have none. */
  readonly latestMs: number;
};

export function withGivenRows(
  logical: LogicalPlan,
  bindings: Bindings<Source, Sink>,
  rowsOf: (source: SourceSpec) => GivenRows,
): WithGivenRows {
  const sources = new Map<SourceId, Source>();
  let latestMs = 0;
  for (const source of logical.sources) {
    const rows = rowsOf(source);
    const { timeColumn } = source;
    for (const row of rows.flat()) {
      const time = timeColumn === null ? undefined : row[timeColumn];
      if (typeof time === 'number' && time > latestMs) latestMs = time;
    }
    const nest = rowNester(source.schema);
    const records = rows.map((part) => part.map((row) => nest(row) as RowObject));
    sources.set(source.id, new SimulatedRows(records, rowsFormat));
  }
  const specs = logical.sources.map((source) => ({ ...source, format: rowsFormat }));
  return { logical: { ...logical, sources: specs }, bindings: { ...bindings, sources }, latestMs };
}

const rowsFormat = { kind: 'rows' } as const;
