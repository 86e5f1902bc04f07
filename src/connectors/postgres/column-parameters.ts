// The rows of a micro-batch as array texts of PostgreSQL, one for each column: `{1,NULL,"a\"b"}`.

import { unreachable } from '../../base/assert.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { Batch, Vector } from '../../data/columnar/batch.ts';
import type { DataKind } from '../../schema/data-type.ts';
import type { TargetColumn } from './target-table.ts';

/** A text of V8 has fewer than 2²⁹ characters; what it is put into must fit, too. */
const charactersMax = 1 << 28;

/** With a key, only the last row of each: a statement may change a row once. */
export function columnParameters(
  batch: Batch,
  columns: readonly TargetColumn[],
  key: readonly string[] | null,
): string[] {
  const cells = columns.map(({ kind }, index) =>
    cellsOf(batch.vectors[index]!, kind, batch.rowCount),
  );
  if (key === null) return cells.map((column) => arrayText(column));
  const keys = key.map((name) => cells[columns.findIndex((column) => column.name === name)]!);
  const rows = lastRows(keys, batch.rowCount);
  return cells.map((column) => arrayText(rows.map((row) => column[row]!)));
}

/**
 * In order of keys, so that two sink partitions that write the same keys wait for each other in one
 * direction only.
 */
function lastRows(keys: readonly (readonly (string | null)[])[], rowCount: number): number[] {
  const last = new Map<string, number>();
  for (let row = 0; row < rowCount; row++) {
    last.set(JSON.stringify(keys.map((column) => column[row])), row);
  }
  const entries = [...last].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return entries.map(([, row]) => row);
}

function cellsOf(vector: Vector, kind: DataKind, rowCount: number): (string | null)[] {
  const cells: (string | null)[] = [];
  const decoder = new TextDecoder();
  for (let row = 0; row < rowCount; row++) {
    if (vector.valid !== null && vector.valid[row] === 0) cells.push(null);
    else cells.push(cellText(vector, { row, kind, decoder }));
  }
  return cells;
}

function cellText(
  vector: Vector,
  at: {
    readonly row: number;
    readonly kind: DataKind;
    readonly decoder: { decode(bytes: Uint8Array): string };
  },
): string {
  const { row } = at;
  switch (vector.kind) {
    case 'boolean':
      return vector.values[row] === 1 ? 'true' : 'false';
    case 'int32':
    case 'int64':
      return String(vector.values[row]);
    case 'number':
      return at.kind === 'timestamp' ? timeText(vector.values[row]!) : String(vector.values[row]);
    case 'string': {
      const { bytes, offsets } = vector;
      return at.decoder.decode(bytes.subarray(offsets[row], offsets[row + 1]));
    }
    default:
      return unreachable(vector);
  }
}

/** PostgreSQL has no signs before years: `12026-01-31 …`, `0044-03-15 … BC`. */
export function timeText(timeMs: number): string {
  if (!(Math.abs(timeMs) <= 8.64e15)) {
    throw new StreamError({
      code: 'time-range',
      message: `could not write ${timeMs} ms as a timestamp: it is no date`,
      hint: 'write it as a number',
      fields: { timeMs },
    });
  }
  const time = new Date(timeMs);
  const year = time.getUTCFullYear();
  const rest = time.toISOString().replace(/^[+-]?\d+/, '');
  const shown = String(year > 0 ? year : 1 - year).padStart(4, '0');
  return `${shown}${rest}${year > 0 ? '' : ' BC'}`;
}

function arrayText(cells: readonly (string | null)[]): string {
  const parts = cells.map((cell) => (cell === null ? 'NULL' : quotedElement(cell)));
  const length = parts.reduce((sum, part) => sum + part.length + 1, 2);
  if (length <= charactersMax) return `{${parts.join(',')}}`;
  throw new StreamError({
    code: 'output-too-large',
    message: `could not write a column of ${length} characters in one micro-batch`,
    hint: 'use more partitions, a shorter interval, or smaller windows',
    fields: { characters: length, charactersMax },
  });
}

function quotedElement(text: string): string {
  return `"${/["\\]/.test(text) ? text.replace(/["\\]/g, '\\$&') : text}"`;
}
