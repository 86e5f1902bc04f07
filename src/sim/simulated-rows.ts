// Sources and sinks of simulated pipelines. A source holds its rows and gives any range of them, as
// objects or as lines of JSON; a sink only has a name, for the simulated worker keeps what comes.

import { assert } from '../base/assert.ts';
import type { SourceFormat } from '../plan/logical-plan.ts';
import type { Sink, SinkWriter } from '../ports/sink.ts';
import type { Source, SourceReader } from '../ports/source.ts';
import type { SourceChunk, SourceData } from '../ports/source-chunk.ts';
import type { TypedSource } from '../ports/typed.ts';
import type { RowObject } from '../schema/data-type.ts';
import type { Schema } from '../schema/schema.ts';
import type { Columns, RowOf } from '../schema/value-type.ts';
import type { ChosenRange } from './simulated-source.ts';

/** Rows by partition, as a source that only a simulation can read. */
export function simulatedRows<C extends Columns>(
  schema: Schema<C>,
  partitions: readonly (readonly RowOf<C>[])[],
  format: 'rows' | 'json-lines',
): TypedSource<C> {
  const rows = partitions.map((partition) => partition.map((row) => row as RowObject));
  return { schema, source: new SimulatedRows(rows, { kind: format }) };
}

export class SimulatedRows implements Source {
  readonly kind = 'simulated';
  readonly description: string;
  readonly format: SourceFormat;
  readonly replayable = true;
  readonly rows: readonly (readonly RowObject[])[];

  constructor(rows: readonly (readonly RowObject[])[], format: SourceFormat) {
    this.rows = rows;
    this.format = format;
    this.description = `${rows.length} partitions`;
  }

  partitions(): Promise<number> {
    return Promise.resolve(this.rows.length);
  }

  open(): Promise<SourceReader> {
    return Promise.reject(new Error('a simulated source is read by ranges'));
  }

  rowsOf(partition: number, range: ChosenRange): readonly RowObject[] {
    const rows = this.rows[partition];
    assert(rows !== undefined, `no source partition ${partition}`);
    return rows.slice(range.from, range.to);
  }

  chunk(partition: number, range: ChosenRange): SourceChunk {
    const { from, to, ended } = range;
    return { from, to, ended, data: this.#data(this.rowsOf(partition, range), range) };
  }

  #data(rows: readonly RowObject[], { from }: ChosenRange): SourceData {
    if (rows.length === 0) return { kind: 'none' };
    if (this.format.kind === 'rows') return { kind: 'rows', rows };
    const bytes = new TextEncoder().encode(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const piece = { bytes, start: 0, end: bytes.length, origin: 'simulated', originOffset: from };
    return { kind: 'bytes', pieces: [{ ...piece, columns: null }] };
  }
}

export class SimulatedSink implements Sink {
  readonly kind = 'simulated';
  readonly description = 'kept by the simulation';
  readonly location = 'worker';
  readonly partitions: 1 | null;

  constructor(partitions: 1 | null = null) {
    this.partitions = partitions;
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  open(): Promise<SinkWriter> {
    return Promise.reject(new Error('a simulated sink is written by the simulation'));
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }
}
