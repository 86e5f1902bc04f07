// Random rows of any schema: few different values, so that keys meet, and event times that go
// forward with a little disorder. For pipelines of which nobody has given rows.

import { unreachable } from '../base/assert.ts';
import type { Random } from '../base/random.ts';
import type { SourceSpec } from '../plan/logical-plan.ts';
import type { Field, RowObject, RowValue } from '../schema/data-type.ts';
import type { GivenRows } from './given-rows.ts';

export function randomRows(random: Random, { schema }: SourceSpec): GivenRows {
  const stepMs = random.pick([5, 50, 400]);
  const disorderMs = random.pick([0, 300, 2000]);
  return Array.from({ length: random.integer(1, 4) }, () =>
    Array.from({ length: random.integer(0, 120) }, (_, index): RowObject => {
      const timeMs = firstMs + index * stepMs - Math.floor(random.float() * disorderMs);
      return Object.fromEntries(
        schema.fields.map((field) => [field.name, randomValue(random, field, timeMs)]),
      );
    }),
  );
}

function randomValue(random: Random, { name, type, nullable }: Field, timeMs: number): RowValue {
  if (nullable && random.chance(0.1)) return null;
  switch (type.kind) {
    case 'boolean':
      return random.chance(0.5);
    case 'int32':
      return random.integer(-3, 9);
    case 'int64':
      return BigInt(random.integer(-3, 9));
    case 'float64':
      return random.integer(-8, 4000) / 8;
    case 'timestamp':
      return timeMs;
    case 'string':
      return `${name} ${random.integer(1, 6)}`;
    case 'json':
      return { [name]: random.integer(1, 6) };
    default:
      return unreachable(type);
  }
}

/** A day in 2026. */
const firstMs = Date.UTC(2026, 0, 1);
