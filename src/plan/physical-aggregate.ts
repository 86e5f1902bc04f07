// What an aggregate needs of the exchange in front of it: whether rows or partial aggregates cross.

import type { AggregateSpec } from './logical-plan.ts';

/** Why whole rows must cross the exchange; null: partial aggregates do. */
export function rowsReason(aggregate: AggregateSpec): string | null {
  return aggregate.late === null ? null : 'late rows must be whole';
}

export function shipsRows(aggregate: AggregateSpec): boolean {
  return rowsReason(aggregate) !== null;
}
