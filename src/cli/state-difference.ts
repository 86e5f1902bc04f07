// What became of the rows of an operator's state from one checkpoint to another: rows are the same
// if operator, key and window are. A session that grew is another one.

import { canonicalJson } from '../base/canonical-json.ts';
import type { StateRow } from '../data/task/saved-state.ts';

export type StateChange =
  | { readonly change: 'added'; readonly row: StateRow }
  | { readonly change: 'removed'; readonly row: StateRow }
  | { readonly change: 'changed'; readonly row: StateRow; readonly before: StateRow };

/** Holds all rows of `before`. Changes and additions come in the order of `after`. */
export async function* stateChanges(
  before: AsyncIterable<StateRow>,
  after: AsyncIterable<StateRow>,
): AsyncGenerator<StateChange> {
  const left = new Map<string, StateRow>();
  for await (const row of before) left.set(nameOf(row), row);
  for await (const row of after) {
    const name = nameOf(row);
    const former = left.get(name);
    left.delete(name);
    if (former === undefined) yield { change: 'added', row };
    else if (canonicalJson(former.values) !== canonicalJson(row.values)) {
      yield { change: 'changed', row, before: former };
    }
  }
  for (const row of left.values()) yield { change: 'removed', row };
}

function nameOf({ operator, startMs, endMs, keys }: StateRow): string {
  return canonicalJson([operator, startMs, endMs, keys]);
}
