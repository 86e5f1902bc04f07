// The columns of an exchange that carries partial aggregates: one row for each (key, pane) that a
// map task has seen in a micro-batch. A pane is the largest slice of event time that never
// straddles a window's edge (Li et al., "No pane, no gain", 2005), so hopping windows share it.

import { unreachable } from '../base/assert.ts';
import type { DataType, Field, RowSchema } from '../schema/data-type.ts';
import type { AggregateCall, AggregateSpec, WindowSpec } from './logical-plan.ts';

export const paneColumn = '$pane';
export const sessionStartColumn = '$start';
export const sessionEndColumn = '$end';
/** Input rows behind a partial: what a late partial adds to the count of late rows. */
export const rowsColumn = '$rows';

const float64: DataType = { kind: 'float64' };
const timestamp: DataType = { kind: 'timestamp', encoding: 'ms' };
const json: DataType = { kind: 'json' };
/** Raw bytes in a string column; never decoded as text. */
const bytes: DataType = { kind: 'string' };

export function partialSchema(spec: AggregateSpec): RowSchema {
  const fields: Field[] = spec.keys.map((key) => field(key.name, key.expr.type, key.expr.nullable));
  if (spec.window.kind === 'session') {
    fields.push(field(sessionStartColumn, timestamp, false));
    fields.push(field(sessionEndColumn, timestamp, false));
  } else if (spec.window.kind !== 'global') {
    fields.push(field(paneColumn, timestamp, false));
  }
  fields.push(field(rowsColumn, float64, false));
  spec.aggregates.forEach((call, index) => {
    accumulatorTypes(call).forEach((type, part) => {
      fields.push(field(`$a${index}_${part}`, type.type, type.nullable));
    });
  });
  return { fields };
}

type AccumulatorType = { readonly type: DataType; readonly nullable: boolean };

/** The accumulator columns of one aggregate, in order. */
export function accumulatorTypes(call: AggregateCall): readonly AccumulatorType[] {
  const one = (type: DataType, nullable: boolean): AccumulatorType => ({ type, nullable });
  switch (call.fn) {
    case 'count':
      return [one(float64, false)];
    case 'sum':
    case 'min':
    case 'max':
      return [one(call.type, true)];
    case 'avg':
      return [
        one(call.args[0]!.type.kind === 'int64' ? call.args[0]!.type : float64, false),
        one(float64, false),
      ];
    case 'first':
    case 'last':
      // The value, and the event time that won; a null time says that there was no value yet.
      return [one(call.type, true), one(timestamp, true)];
    case 'count-distinct':
      return [one(json, false)];
    case 'approx-count-distinct':
      return [one(bytes, false)];
    case 'top-k':
    case 'custom':
      return [one(json, false)];
    default:
      return unreachable(call.fn);
  }
}

/** Length of a pane, ms. */
export function paneMs(window: WindowSpec): number {
  switch (window.kind) {
    case 'tumbling':
      return window.sizeMs;
    case 'hopping':
      return gcd(window.sizeMs, window.hopMs);
    case 'session':
    case 'global':
      return 0;
    default:
      return unreachable(window);
  }
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

function field(name: string, type: DataType, nullable: boolean): Field {
  return { name, path: [name], type, nullable };
}
