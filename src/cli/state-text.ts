// Rows of state as text: for people, and as JSON that keeps every digit of an int64.

import { formatTime } from '../base/format.ts';
import type { StateRow } from '../data/task/saved-state.ts';
import type { RowValue } from '../schema/data-type.ts';

/** JSON, with int64 as whole numbers; NaN and infinities, which JSON has not, are null. */
export function exactJson(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `[${value.map(exactJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const parts = Object.entries(value)
      .filter(([, property]) => property !== undefined)
      .map(([name, property]) => `${JSON.stringify(name)}:${exactJson(property)}`);
    return `{${parts.join(',')}}`;
  }
  return JSON.stringify(value ?? null);
}

/** A value as it stands in a cell, or behind `=` on the command line. */
export function valueText(value: RowValue | undefined): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : exactJson(value);
}

/** From when to when the window, pane or session is; empty where there is none. */
export function windowText({ startMs, endMs }: Pick<StateRow, 'startMs' | 'endMs'>): string {
  if (startMs === null || endMs === null) return '';
  return `${formatTime(startMs)} … ${formatTime(endMs)}`;
}

/** `country=AT page=/shop`. */
export function fieldsText(fields: StateRow['keys']): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${valueText(value)}`)
    .join(' ');
}
