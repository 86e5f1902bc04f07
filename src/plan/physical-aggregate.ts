// What an aggregate needs of the exchange in front of it: whether rows or partial aggregates cross,
// and whether partials may be merged on the way.

import type { AggregateSpec } from './logical-plan.ts';

/** Why whole rows must cross the exchange; null: partial aggregates do. */
export function rowsReason(aggregate: AggregateSpec): string | null {
  return aggregate.late === null ? null : 'late rows must be whole';
}

/** Why nothing may be merged before all of it meets; null: it may. */
export function flatReason(aggregate: AggregateSpec): string | null {
  if (aggregate.keys.length > 0) return 'groups meet in the partition of their key';
  if (aggregate.window.kind === 'session') return 'only whole sessions tell which rows are late';
  return rowsReason(aggregate);
}

/**
 * Partials that one task merges, unless the user says otherwise. 32 small blocks take a task about
 * 50 µs, which is what another level costs; 1,024 take it milliseconds, and two levels are enough.
 */
export const fanInDefault = 32;

export function shipsRows(aggregate: AggregateSpec): boolean {
  return rowsReason(aggregate) !== null;
}
