// The row that a user's function gets: a fresh plain object of the columns that it may read, with
// strings decoded. The rejected alternative is a reusable view that decodes on first touch: users
// keep rows (accumulators, generators), a view whose bytes are gone would fail or lie, and
// `{ ...row, more }`, the commonest lambda of all, does not see getters. Rows cost only what
// lambdas touch because the plan names those columns (`expr/lambda-columns.ts` finds them).

import { named, toRowValue } from './code-values.ts';
import type { CodeValue, CodeWriter } from './code.ts';

/** Writes `const row = { … };` and gives its name. */
export function rowLiteral(
  writer: CodeWriter,
  columns: readonly string[],
  column: (name: string) => CodeValue,
): string {
  const members = columns.map((name) => {
    // Computed, because a plain `__proto__:` would set the prototype.
    const key = name === '__proto__' ? `['__proto__']` : JSON.stringify(name);
    return `${key}: ${toRowValue(writer, column(name))}`;
  });
  return named(writer, 'rowObject', `{ ${members.join(', ')} }`);
}
