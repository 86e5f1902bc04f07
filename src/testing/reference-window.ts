// Windows of the reference: which rows are late, which windows a row belongs to, when they close.
//
// - A row is late when the last of its windows (for a session: the session it would make alone) was
//   closed by the watermark after the micro-batch before, so order inside a micro-batch never
//   matters. A row that is too late for some of its windows counts in those still open.
// - A window closes when its end plus the allowed lateness is at or below the watermark after the
//   micro-batch: it emits once and is forgotten. So allowed lateness delays results. `global`
//   closes at the end of input.
// - `update` emits, after every micro-batch, the windows that got rows in it; closing emits nothing
//   more.
// - Rows of one key belong to one session when less than the gap lies between neighbours. Sessions
//   are put together at the end of a micro-batch, whatever the order inside it.
// - A row without event time is late. A group or window without rows does not exist, so a global
//   count over nothing emits nothing. Null keys make a group; -0 and 0 are one key, so is NaN.

import { assert } from '../base/assert.ts';
import { canonicalJson } from '../base/canonical-json.ts';
import type { Expr, FunctionId } from '../expr/expr.ts';
import type { CustomAggregate } from '../plan/bindings.ts';
import type { LogicalOperator } from '../plan/logical-plan.ts';
import type { RowObject, RowValue } from '../schema/data-type.ts';
import type { WindowRow } from './reference-aggregate.ts';
import { aggregateRows } from './reference-aggregate.ts';

type Aggregate = Extract<LogicalOperator, { kind: 'aggregate' }>;

export type WindowBatch = {
  /** In order of arrival. */
  readonly rows: readonly RowObject[];
  /** Input watermark after the micro-batch before, and after this one. */
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly value: (expr: Expr, row: RowObject) => RowValue;
  readonly custom: (id: FunctionId) => CustomAggregate;
};

type Window = {
  readonly keys: readonly RowValue[];
  readonly startMs: number;
  readonly endMs: number;
  readonly rows: readonly WindowRow[];
  readonly changed: boolean;
};

export class ReferenceWindows {
  readonly #spec: Aggregate;
  readonly #allowedLatenessMs: number;
  #open: readonly Window[] = [];
  #arrivals = 0;

  constructor(spec: Aggregate, allowedLatenessMs: number) {
    this.#spec = spec;
    this.#allowedLatenessMs = allowedLatenessMs;
  }

  run(batch: WindowBatch): {
    readonly emitted: readonly RowObject[];
    readonly late: readonly RowObject[];
  } {
    const late: RowObject[] = [];
    const windows: Window[] = this.#open.map((window) => ({ ...window, changed: false }));
    for (const row of batch.rows) {
      const placed = this.#place(row, batch);
      if (placed === null) late.push(row);
      else windows.push(...placed);
    }
    const merged = [...groupByKey(windows).values()].flatMap((ofKey) => this.#merge(ofKey));
    const isClosed = (window: Window): boolean => this.#isClosed(window.endMs, batch.afterMs);
    const due = merged.filter((window) =>
      this.#spec.emit === 'update' ? window.changed : isClosed(window),
    );
    this.#open = merged.filter((window) => !isClosed(window));
    return { emitted: due.map((window) => this.#result(window, batch)), late };
  }

  #isClosed(endMs: number, watermarkMs: number): boolean {
    return endMs + this.#allowedLatenessMs <= watermarkMs;
  }

  /** The row as windows of its own, one for each it belongs to; null when it is late. */
  #place(row: RowObject, batch: WindowBatch): readonly Window[] | null {
    const { time, keys } = this.#spec;
    const timeMs = time === null ? 0 : batch.value(time, row);
    if (timeMs === null) return null;
    assert(typeof timeMs === 'number', 'an event time is a number');
    const spans = this.#spansOf(timeMs);
    const open = spans.filter(({ endMs }) => !this.#isClosed(endMs, batch.beforeMs));
    if (spans.length > 0 && open.length === 0) return null;
    const values = keys.map(({ expr }) => normalKey(batch.value(expr, row)));
    const rows = [{ row, timeMs, arrival: this.#arrivals++ }];
    return open.map((span) => ({ ...span, keys: values, rows, changed: true }));
  }

  #spansOf(timeMs: number): readonly { readonly startMs: number; readonly endMs: number }[] {
    const { window } = this.#spec;
    switch (window.kind) {
      case 'global':
        return [{ startMs: -Infinity, endMs: Infinity }];
      case 'session':
        return [{ startMs: timeMs, endMs: timeMs + window.gapMs }];
      case 'tumbling':
      case 'hopping': {
        const { sizeMs, offsetMs } = window;
        const hopMs = window.kind === 'hopping' ? window.hopMs : sizeMs;
        const spans = [];
        const lastMs = Math.floor((timeMs - offsetMs) / hopMs) * hopMs + offsetMs;
        for (let startMs = lastMs; startMs + sizeMs > timeMs; startMs -= hopMs) {
          spans.push({ startMs, endMs: startMs + sizeMs });
        }
        return spans;
      }
    }
  }

  /** Windows of one key that are the same, or sessions that overlap, become one. */
  #merge(windows: readonly Window[]): readonly Window[] {
    const isSession = this.#spec.window.kind === 'session';
    const merged: Window[] = [];
    for (const window of windows.toSorted((a, b) => a.startMs - b.startMs)) {
      const last = merged.at(-1);
      const belongs =
        last !== undefined &&
        (isSession ? window.startMs < last.endMs : window.startMs === last.startMs);
      if (belongs) merged[merged.length - 1] = joinWindows(last, window);
      else merged.push(window);
    }
    return merged;
  }

  #result(window: Window, batch: WindowBatch): RowObject {
    const { keys, schema, aggregates } = this.#spec;
    const bounds = this.#spec.window.kind === 'global' ? [] : [window.startMs, window.endMs];
    const rows = window.rows.toSorted((a, b) => a.arrival - b.arrival);
    const results = aggregates.map((call) => aggregateRows(call, rows, batch));
    const values = [...window.keys, ...bounds, ...results];
    assert(values.length === schema.fields.length, `columns of ${keys.length} keys do not fit`);
    return Object.fromEntries(schema.fields.map(({ name }, index) => [name, values[index]]));
  }
}

function joinWindows(a: Window, b: Window): Window {
  return {
    keys: a.keys,
    startMs: Math.min(a.startMs, b.startMs),
    endMs: Math.max(a.endMs, b.endMs),
    rows: [...a.rows, ...b.rows],
    changed: a.changed || b.changed,
  };
}

function groupByKey(windows: readonly Window[]): ReadonlyMap<string, readonly Window[]> {
  return Map.groupBy(windows, (window) => canonicalJson(window.keys));
}

function normalKey(value: RowValue): RowValue {
  return value === 0 ? 0 : value;
}
