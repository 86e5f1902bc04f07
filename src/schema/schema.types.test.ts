// What TypeScript infers for schemas, own and of other libraries. Checked by the compiler only.

import { type } from 'arktype';
import { z } from 'zod';
import type { Equal, Plain } from '../api/equal.fixture.ts';
import { check } from '../api/equal.fixture.ts';
import { int64, json, string, timestamp } from './column-type.ts';
import type { Row } from './schema.ts';
import { schema } from './schema.ts';

type RowIn<S extends Parameters<typeof rowIn>[0]> = Plain<Row<S>>;
declare function rowIn(value: ReturnType<typeof schema>): void;

const own = schema({
  id: int64(),
  at: timestamp().nullable(),
  user: { name: string().from('userName'), address: { city: string<'Oslo' | 'Rome'>() } },
  raw: json<{ a: number }>(),
});
check<
  Equal<
    RowIn<typeof own>,
    {
      readonly id: bigint;
      readonly at: number | null;
      readonly 'user.name': string;
      readonly 'user.address.city': 'Oslo' | 'Rome';
      readonly raw: { a: number };
    }
  >
>();
// @ts-expect-error: a column has a type.
schema({ a: 'string' });

const zod = schema(
  z.object({
    id: z.string(),
    kind: z.enum(['view', 'click']).optional(),
    at: z.iso.datetime(),
    count: z.int32(),
    on: z.boolean().nullable(),
    user: z.object({ name: z.string(), tags: z.array(z.string()) }).nullable(),
    any: z.union([z.string(), z.number()]),
    map: z.record(z.string(), z.number()),
  }),
  { timestamps: { at: 'iso' } },
);
check<
  Equal<
    RowIn<typeof zod>,
    {
      readonly id: string;
      readonly kind: 'view' | 'click' | null;
      readonly at: number;
      readonly count: number;
      readonly on: boolean | null;
      readonly 'user.name': string | null;
      readonly 'user.tags': string[] | null;
      readonly any: string | number;
      readonly map: Record<string, number>;
    }
  >
>();

const ark = schema(
  type({ id: 'string', 'age?': 'number.integer | null', user: { tags: 'string[]' } }),
);
check<
  Equal<
    RowIn<typeof ark>,
    {
      readonly id: string;
      readonly age: number | null;
      readonly 'user.tags': string[];
    }
  >
>();
