import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type } from 'arktype';
import { z } from 'zod';
import { float64, int32, json, string, timestamp } from './column-type.ts';
import type { RowSchema } from './data-type.ts';
import type { Mistake } from './mistake.ts';
import type { SchemaDefinition } from './schema.ts';
import { schema } from './schema.ts';

/** One line a field: `name <- path: type?`. */
function textOf({ fields }: RowSchema): readonly string[] {
  return fields.map(({ name, path, type: { kind, ...more }, nullable }) => {
    const detail = 'encoding' in more ? `(${more.encoding})` : '';
    const from = path.join('.') === name ? '' : ` <- ${path.join('/')}`;
    return `${name}${from}: ${kind}${detail}${nullable ? '?' : ''}`;
  });
}

function messages(mistakes: readonly Mistake[]): readonly string[] {
  return mistakes.map(({ message }) => message);
}

test('schema flattens nested objects and follows from()', () => {
  const rows = schema({
    id: string().from('eventId'),
    at: timestamp('s'),
    user: { name: string(), age: int32().nullable(), city: string().from('address', 'city') },
    raw: json(),
  });
  assert.deepEqual(textOf(rows), [
    'id <- eventId: string',
    'at: timestamp(s)',
    'user.name: string',
    'user.age: int32?',
    'user.city <- user/address/city: string',
    'raw: json',
  ]);
  assert.deepEqual(rows.mistakes, []);
});

test('schema reports all mistakes with the call site', () => {
  const rows = schema({
    $lambda: string(),
    a: string(),
    'a.b': float64(),
    c: 'string',
  } as unknown as SchemaDefinition);
  assert.deepEqual(messages(rows.mistakes), [
    'column "c" has no column type',
    'a column cannot be called "$lambda"',
    'column "a" cannot also hold the column "a.b"',
  ]);
  for (const { site } of rows.mistakes) assert.match(String(site), /schema\.test\.ts:43:16$/);
  assert.deepEqual(messages(schema({}).mistakes), ['the schema has no columns']);
});

test('schema reads a zod schema by its JSON Schema', () => {
  const Address = z.object({ city: z.string(), zip: z.string().nullable() });
  const rows = schema(
    z.object({
      id: z.string(),
      kind: z.enum(['a', 'b']).optional(),
      only: z.literal('x'),
      at: z.iso.datetime(),
      seen: z.number(),
      small: z.int32(),
      large: z.int(),
      byte: z.number().int().min(0).max(255),
      price: z.number().nullish(),
      on: z.boolean(),
      tags: z.array(z.string()),
      home: Address,
      work: Address.optional(),
      either: z.union([z.string(), z.number()]),
      counts: z.record(z.string(), z.number()),
      any: z.unknown(),
    }),
    { timestamps: { at: 'iso', seen: 'ms' } },
  );
  assert.deepEqual(rows.mistakes, []);
  assert.deepEqual(textOf(rows), [
    'id: string',
    'kind: string?',
    'only: string',
    'at: timestamp(iso)',
    'seen: timestamp(ms)',
    'small: int32',
    'large: float64',
    'byte: int32',
    'price: float64?',
    'on: boolean',
    'tags: json',
    'home.city: string',
    'home.zip: string?',
    'work.city: string?',
    'work.zip: string?',
    'either: json',
    'counts: json',
    'any: json?',
  ]);
});

test('schema reads an arktype schema by its JSON Schema', () => {
  const rows = schema(
    type({
      id: 'string',
      'age?': 'number.integer',
      kind: "'a' | 'b' | null",
      level: '0 <= number.integer <= 9',
      user: { name: 'string', tags: 'string[]' },
    }),
  );
  assert.deepEqual(rows.mistakes, []);
  assert.deepEqual(textOf(rows).toSorted(), [
    'age: float64?',
    'id: string',
    'kind: string?',
    'level: int32',
    'user.name: string',
    'user.tags: json',
  ]);
});

test('schema names the fields of another library that JSON cannot hold', () => {
  const rows = schema(z.object({ id: z.string(), when: z.date(), big: z.bigint() }));
  const [only] = rows.mistakes;
  assert.match(only?.message ?? '', /^field "when", "big" of the zod schema has no JSON Schema: /);
  assert.match(only?.hint ?? '', /no bigint, Date/);
  assert.match(String(only?.site), /schema\.test\.ts:/);
});

test('schema refuses schemas of other libraries that are no records', () => {
  const expected = ['the schema does not describe objects of known properties'];
  assert.deepEqual(messages(schema(z.string()).mistakes).slice(0, 1), expected);
  assert.deepEqual(messages(schema(z.array(z.string())).mistakes).slice(0, 1), expected);
  const wrong = schema(z.object({ a: z.string() }), { timestamps: { b: 'ms' } });
  assert.deepEqual(messages(wrong.mistakes), [
    'timestamps names "b", which the schema does not have',
  ]);
  const old = { '~standard': { vendor: 'old', version: 1 } };
  assert.deepEqual(messages(schema(old as unknown as z.ZodString).mistakes).slice(0, 1), [
    'the old schema does not give a JSON Schema',
  ]);
});

test('schema reports a schema that contains itself', () => {
  const Node = z.object({
    name: z.string(),
    get next(): z.ZodOptional<typeof Node> {
      return Node.optional();
    },
  });
  const plain: { readonly '~standard': unknown } = Node;
  const rows = schema(plain as unknown as z.ZodObject);
  assert.match(messages(rows.mistakes)[0] ?? '', /^the schema contains itself through "/);
});
