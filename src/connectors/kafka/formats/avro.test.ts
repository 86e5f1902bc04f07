import assert from 'node:assert/strict';
import { test } from 'node:test';
import avsc from 'avsc';
import fc from 'fast-check';
import {
  boolean,
  float64,
  int32,
  int64,
  json,
  string,
  timestamp,
} from '../../../schema/column-type.ts';
import type { RowObject } from '../../../schema/data-type.ts';
import { schema } from '../../../schema/schema.ts';
import type { SchemaDefinition } from '../../../schema/schema.ts';
import { avro } from './avro.ts';
import type { AvroOptions } from './avro.ts';
import type { FormatDecoder, KafkaEncoder } from '../kafka-format.ts';
import { RegistryStub } from './registry-stub.fixture.ts';
import { concatBytes, prefixOf } from './wire-format.ts';

type Fields = readonly object[];

const record = (fields: Fields, more: object = {}): object => {
  return { type: 'record', name: 'Order', namespace: 'shop', fields, ...more };
};

async function stub(): Promise<RegistryStub> {
  const made = new RegistryStub();
  await made.listen();
  return made;
}

function decoder(columns: SchemaDefinition, options: AvroOptions): FormatDecoder {
  const rows = schema(columns);
  return avro(options).decoder({ topic: 'orders', part: 'value', schema: rows });
}

async function encoder(columns: SchemaDefinition, options: AvroOptions): Promise<KafkaEncoder> {
  const use = { topic: 'orders', part: 'value', schema: schema(columns) } as const;
  const made = avro(options).encoder(use);
  await made.prepare();
  return made;
}

async function read(from: FormatDecoder, value: Uint8Array): Promise<RowObject> {
  await from.prepare(value);
  return from.decode(value);
}

/** Reads plain Avro that avsc has written by the same schema, with types of its own. */
async function readBack(
  columns: SchemaDefinition,
  written: object,
  value: unknown,
): Promise<RowObject> {
  const bytes = avsc.Type.forSchema(written as never, { wrapUnions: false }).toBuffer(value);
  return read(decoder(columns, { schema: written }), bytes);
}

const everything = record([
  { name: 'flag', type: 'boolean' },
  { name: 'small', type: 'int' },
  { name: 'big', type: 'long' },
  { name: 'real', type: 'double' },
  { name: 'text', type: 'string' },
  { name: 'maybe', type: ['null', 'string'], default: null },
  { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['A', 'B'] } },
  { name: 'tags', type: { type: 'array', items: 'string' } },
  { name: 'counts', type: { type: 'map', values: 'int' } },
  {
    name: 'user',
    type: { type: 'record', name: 'User', fields: [{ name: 'id', type: ['null', 'long'] }] },
  },
]);

const everyColumn = {
  flag: boolean(),
  small: int32(),
  big: int64(),
  real: float64(),
  text: string(),
  maybe: string().nullable(),
  kind: string(),
  tags: json(),
  counts: json(),
  user: { id: int64().nullable() },
};

// Beyond these avsc's own longs are wrong: -4503599627370497 comes back as 4503599627370496.
const safe = fc.maxSafeInteger().filter((value) => Math.abs(value) <= 2 ** 52);
const anyRecord = fc.record({
  flag: fc.boolean(),
  small: fc.integer(),
  big: safe,
  real: fc.double({ noNaN: true }),
  text: fc.string({ unit: 'grapheme' }),
  maybe: fc.option(fc.string(), { nil: null }),
  kind: fc.constantFrom('A', 'B'),
  tags: fc.array(fc.string(), { maxLength: 4 }),
  counts: fc.dictionary(
    fc.string({ minLength: 1 }).filter((key) => key !== '__proto__'),
    fc.integer(),
    {
      noNullPrototype: true,
    },
  ),
  user: fc.record({ id: fc.option(safe, { nil: null }) }),
});

function rowOf({ user, big, ...rest }: { big: number; user: { id: number | null } }): RowObject {
  const id = user.id === null ? null : BigInt(user.id);
  return { ...rest, big: BigInt(big), 'user.id': id };
}

test('avro reads what avsc has written', async () => {
  const judge = avsc.Type.forSchema(everything as never, { wrapUnions: false });
  const reader = decoder(everyColumn, { schema: everything });
  await fc.assert(
    fc.asyncProperty(anyRecord, async (value) => {
      assert.deepEqual(await read(reader, judge.toBuffer(value)), rowOf(value));
    }),
  );
});

test('avro writes what avsc reads, and reads it back', async () => {
  const judge = avsc.Type.forSchema(everything as never, { wrapUnions: false });
  const writer = await encoder(everyColumn, { schema: everything });
  const reader = decoder(everyColumn, { schema: everything });
  await fc.assert(
    fc.asyncProperty(anyRecord, async (value) => {
      const bytes = writer.encode(rowOf(value));
      const plain: unknown = JSON.parse(JSON.stringify(judge.fromBuffer(Buffer.from(bytes))));
      assert.deepEqual(plain, JSON.parse(JSON.stringify(value)));
      assert.deepEqual(await read(reader, bytes), rowOf(value));
    }),
  );
});

/** By the definition: zigzag, then groups of seven bits, lowest first. */
function longBytes(value: bigint): Uint8Array {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return Uint8Array.from(bytes);
}

test('a long of 64 bits is exact both ways', async () => {
  const written = record([{ name: 'n', type: 'long' }]);
  const reader = decoder({ n: int64() }, { schema: written });
  const writer = await encoder({ n: int64() }, { schema: written });
  const check = async (n: bigint): Promise<void> => {
    assert.deepEqual(await read(reader, longBytes(n)), { n });
    assert.deepEqual(Uint8Array.from(writer.encode({ n })), longBytes(n));
  };
  const edge = 2n ** 53n;
  for (const n of [0n, -1n, edge, edge + 1n, -edge, -edge - 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
    await check(n);
  }
  await fc.assert(fc.asyncProperty(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), check));
});

test('a long that a float64 would round is a bad record, in JSON its digits', async () => {
  const written = record([{ name: 'n', type: 'long' }]);
  const bytes = longBytes(2n ** 53n + 1n);
  await assert.rejects(
    read(decoder({ n: float64() }, { schema: written }), bytes),
    /without rounding/,
  );
  assert.deepEqual(await read(decoder({ n: json() }, { schema: written }), bytes), {
    n: '9007199254740993',
  });
  assert.deepEqual(await read(decoder({ n: json() }, { schema: written }), longBytes(5n)), {
    n: 5,
  });
});

test('logical types are what their columns say', async () => {
  const day = { type: 'int', logicalType: 'date' };
  const of = (type: string, logicalType: string): object => ({ type, logicalType });
  const read1 = async (type: unknown, column: SchemaDefinition[string], value: unknown) =>
    (await readBack({ v: column }, record([{ name: 'v', type }]), { v: value }))['v'];
  assert.equal(await read1(of('long', 'timestamp-millis'), timestamp('ms'), 1234), 1234);
  assert.equal(await read1(of('long', 'timestamp-micros'), timestamp('ms'), 1_234_999), 1234);
  assert.equal(await read1(of('long', 'timestamp-micros'), timestamp('ms'), -1), -1);
  assert.equal(await read1(of('long', 'timestamp-micros'), int64(), 1_234_999), 1_234_999n);
  const seconds = await read1(of('long', 'timestamp-millis'), timestamp('s'), 1001);
  assert.equal((seconds as unknown as Date).getTime(), 1001, 'the engine takes a Date as it is');
  assert.equal(await read1(day, string(), 19_000), '2022-01-08');
  assert.equal(await read1(day, timestamp(), -1), -86_400_000);
  assert.equal(await read1(day, int32(), 19_000), 19_000);
  assert.equal(await read1(of('string', 'uuid'), string(), 'x'), 'x');
  assert.equal(await read1(of('long', 'never-heard-of'), int64(), 5), 5n);
  const decimal = { type: 'bytes', logicalType: 'decimal', precision: 20, scale: 2 };
  const bytes = (value: bigint): Buffer =>
    Buffer.from(BigInt.asUintN(72, value).toString(16).padStart(18, '0'), 'hex');
  assert.equal(await read1(decimal, string(), bytes(123_450n)), '1234.50');
  assert.equal(await read1(decimal, string(), bytes(-5n)), '-0.05');
  assert.equal(await read1(decimal, float64(), bytes(-5n)), -0.05);
  assert.equal(await read1(decimal, int64(), bytes(500n)), 5n);
  await assert.rejects(read1(decimal, int64(), bytes(501n)), /no whole number/);
  await assert.rejects(read1(decimal, float64(), bytes(12_345_678_901_234_567_891n)), /rounding/);
  const uuid = { type: 'fixed', size: 16, name: 'U', logicalType: 'uuid' };
  const id = '00112233-4455-6677-8899-aabbccddeeff';
  assert.equal(await read1(uuid, string(), Buffer.from(id.replaceAll('-', ''), 'hex')), id);
});

test('decimals, dates and times come back as they were written', async () => {
  const written = record([
    { name: 'price', type: { type: 'bytes', logicalType: 'decimal', precision: 30, scale: 3 } },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-micros' } },
    { name: 'day', type: ['null', { type: 'int', logicalType: 'date' }] },
  ]);
  const columns = { price: string(), at: timestamp('ms'), day: timestamp('ms').nullable() };
  const writer = await encoder(columns, { schema: written });
  const reader = decoder(columns, { schema: written });
  const prices = fc.bigInt({ min: -(10n ** 30n) + 1n, max: 10n ** 30n - 1n }).map((unscaled) => {
    const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(4, '0');
    return `${unscaled < 0n ? '-' : ''}${digits.slice(0, -3)}.${digits.slice(-3)}`;
  });
  await fc.assert(
    fc.asyncProperty(
      prices,
      fc.integer({ min: -8.64e12, max: 8.64e12 }),
      fc.option(fc.integer({ min: -100_000, max: 100_000 }), { nil: null }),
      async (price, at, days) => {
        const row = { price, at, day: days === null ? null : days * 86_400_000 };
        assert.deepEqual(await read(reader, writer.encode(row)), row);
      },
    ),
  );
  const refused = { code: 'row-refused' };
  assert.throws(() => writer.encode({ price: '1.0001', at: 0, day: null }), refused);
  assert.throws(() => writer.encode({ price: '1', at: 0, day: 1 }), refused);
});

test('unions of several types are JSON, or a column that takes them all', async () => {
  const written = record([{ name: 'v', type: ['null', 'int', 'long'] }]);
  const judge = avsc.Type.forSchema(written as never, { wrapUnions: true });
  const bytes = judge.toBuffer({ v: { long: 7 } });
  assert.deepEqual(await read(decoder({ v: int64().nullable() }, { schema: written }), bytes), {
    v: 7n,
  });
  assert.deepEqual(await read(decoder({ v: json() }, { schema: written }), bytes), { v: 7 });
  await assert.rejects(read(decoder({ v: int32() }, { schema: written }), bytes), {
    code: 'schema-mismatch',
    message: /column "v" is declared int32, the field "v" is null \| int \| long/,
  });
});

test('a branch stays what was written where other fields are left out', async () => {
  const written = record([
    { name: 'unused', type: 'string' },
    { name: 'v', type: ['string', 'bytes'] },
  ]);
  const judge = avsc.Type.forSchema(written as never, { wrapUnions: true });
  const bytes = judge.toBuffer({ unused: 'x', v: { bytes: Buffer.from([0xff, 0xfe]) } });
  assert.deepEqual(await read(decoder({ v: json() }, { schema: written }), bytes), { v: '//4=' });
});

test('a time or decimal is never read in another unit (stub of the contract)', async () => {
  await using registry = await stub();
  const decimal = (scale: number): object => {
    return { type: 'bytes', logicalType: 'decimal', precision: 9, scale };
  };
  const time = (logicalType: string): object => ({ type: 'long', logicalType });
  const pairs = [
    [time('timestamp-micros'), time('timestamp-millis')],
    [decimal(2), decimal(3)],
  ];
  for (const [was, wanted] of pairs) {
    const id = registry.add('orders-value', record([{ name: 'v', type: was }]));
    const given = record([{ name: 'v', type: wanted }]);
    const reader = decoder({ v: json() }, { registry: { url: registry.url }, schema: given });
    await assert.rejects(async () => reader.prepare(prefixOf(id)), { code: 'schema-mismatch' });
  }
  const plain = registry.add('orders-value', record([{ name: 'v', type: 'long' }]));
  const given = record([{ name: 'v', type: time('timestamp-millis') }]);
  const reader = decoder({ v: timestamp() }, { registry: { url: registry.url }, schema: given });
  assert.deepEqual(await read(reader, concatBytes(prefixOf(plain), longBytes(5n))), { v: 5 });
});

const idOnly = record([{ name: 'id', type: 'int' }]);
const withMore = record([
  { name: 'before', type: { type: 'array', items: ['null', 'string', 'bytes'] } },
  { name: 'id', type: 'long' },
  { name: 'note', type: ['null', 'string'] },
]);

test('values of one topic may differ in schema (stub of the contract)', async () => {
  await using registry = await stub();
  const [old, late] = [
    registry.add('orders-value', idOnly),
    registry.add('orders-value', withMore),
  ];
  const columns = { id: int64(), note: string().nullable() };
  const reader = decoder(columns, { registry: { url: registry.url } });
  const first = avsc.Type.forSchema(idOnly as never).toBuffer({ id: 1 });
  const second = avsc.Type.forSchema(withMore as never).toBuffer({
    before: [null, 'a', Buffer.from('b')],
    id: 2,
    note: 'n',
  });
  const values = [concatBytes(prefixOf(old), first), concatBytes(prefixOf(late), second)];
  assert.deepEqual(await read(reader, values[0]!), { id: 1n, note: null });
  assert.deepEqual(await read(reader, values[1]!), { id: 2n, note: 'n' });
  assert.equal(reader.prepare(values[0]!), undefined, 'it is known now');
  assert.equal(registry.seen.length, 2);
});

test('a given schema brings defaults, aliases and promotions (stub of the contract)', async () => {
  await using registry = await stub();
  const written = record([
    { name: 'id', type: 'int' },
    { name: 'gone', type: 'string' },
    { name: 'was', type: 'float' },
  ]);
  const id = registry.add('orders-value', written);
  const wanted = record([
    { name: 'id', type: 'long' },
    { name: 'is', type: 'double', aliases: ['was'] },
    { name: 'currency', type: 'string', default: 'EUR' },
  ]);
  const columns = { id: int64(), is: float64(), currency: string() };
  const reader = decoder(columns, { registry: { url: registry.url }, schema: wanted });
  const body = avsc.Type.forSchema(written as never).toBuffer({ id: 5, gone: 'x', was: 0.5 });
  const value = concatBytes(prefixOf(id), body);
  assert.deepEqual(await read(reader, value), { id: 5n, is: 0.5, currency: 'EUR' });
});

test('a mismatch rejects at the first record with both types (stub of the contract)', async () => {
  await using registry = await stub();
  const id = registry.add('orders-value', withMore);
  const value = concatBytes(prefixOf(id), new Uint8Array(3));
  const address = { registry: { url: registry.url } };
  const rejects = async (columns: SchemaDefinition, message: RegExp): Promise<void> => {
    const error = { code: 'schema-mismatch', message };
    await assert.rejects(async () => decoder(columns, address).prepare(value), error);
  };
  await rejects({ id: int32() }, /schema \d+ .*"orders".*"id" is declared int32, .*"id" is long/);
  await rejects({ other: string() }, /column "other" of string is not there/);
  await rejects(
    { id: { deep: string() } },
    /column "id.deep" is declared string, the field "id" is long/,
  );
  const given = { ...address, schema: record([{ name: 'fresh', type: 'int' }]) };
  await assert.rejects(async () => decoder({ fresh: int32() }, given).prepare(value), {
    code: 'schema-mismatch',
    message: /no matching field for default-less/,
  });
  const proto = registry.add('p', 'syntax = "proto3";', { schemaType: 'PROTOBUF' });
  await assert.rejects(async () => decoder({ id: int64() }, address).prepare(prefixOf(proto)), {
    code: 'schema-mismatch',
    message: /it is of type PROTOBUF/,
  });
});

test('a value without id, or of an unknown, is a bad record (stub of the contract)', async () => {
  await using registry = await stub();
  const reader = decoder({ id: int64() }, { registry: { url: registry.url } });
  await assert.rejects(
    read(reader, Buffer.from('{"id":1}')),
    /no schema id .*7b 22 .*with a registry\?/,
  );
  await assert.rejects(read(reader, new Uint8Array(0)), /no schema id \(0 bytes\)/);
  const unknown = prefixOf(4_000_000_000);
  await assert.rejects(read(reader, unknown), /the schema 4000000000 .*no such id/);
  await assert.rejects(read(reader, unknown), /no such id/);
  assert.equal(registry.seen.length, 1);
});

test('broken bytes are bad records, soon, whatever they are', async () => {
  const recursive = record([
    { name: 'items', type: { type: 'array', items: ['null', 'Order', 'string'] } },
    { name: 'names', type: { type: 'map', values: { type: 'array', items: 'null' } } },
    { name: 'rest', type: ['null', 'Order'] },
  ]);
  const reader = decoder({ items: json(), names: json(), rest: json() }, { schema: recursive });
  await reader.prepare(new Uint8Array(0));
  const attempt = (bytes: Uint8Array): void => {
    try {
      const row = reader.decode(bytes);
      assert.deepEqual(Object.keys(row), ['items', 'names', 'rest']);
    } catch (error) {
      assert.ok(error instanceof Error && !(error instanceof assert.AssertionError), String(error));
    }
  };
  attempt(Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f));
  attempt(new Uint8Array(50_000).fill(2));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), attempt), { numRuns: 2_000 });
  // Whole values with one byte changed come further than noise does.
  const whole = avsc.Type.forSchema(recursive as never).toBuffer({
    items: [null, 'x'],
    names: { a: [null] },
    rest: { items: [], names: {}, rest: null },
  });
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
      const broken = Uint8Array.from(whole);
      broken[at] = byte;
      attempt(broken);
    }),
    { numRuns: 2_000 },
  );
});

test('names in a schema that would be code are refused', async () => {
  for (const name of ["a'];process.exit(9);//", 'a b', '1']) {
    const bad = { type: 'record', name: 'R', namespace: name, fields: [] };
    const written = record([{ name: 'id', type: ['null', bad] }]);
    const reader = decoder({ id: json() }, { schema: written });
    await assert.rejects(async () => reader.prepare(new Uint8Array(1)), { code: 'schema-invalid' });
  }
});

test('a key of a bare type is its only column', async () => {
  const use = { topic: 'orders', part: 'key', schema: schema({ key: int64() }) } as const;
  const format = avro({ schema: 'long' });
  const writer = format.encoder(use);
  await writer.prepare();
  assert.deepEqual(await read(format.decoder(use), writer.encode({ key: 5n })), { key: 5n });
});

test('a sink registers a schema of its columns (stub of the contract)', async () => {
  await using registry = await stub();
  const columns = {
    id: int64(),
    at: timestamp('ms').nullable(),
    user: { name: string(), age: int32().nullable() },
    price: float64(),
    paid: boolean(),
  };
  const address = { url: registry.url };
  const writer = await encoder(columns, { registry: address, register: true });
  const row = {
    id: -(2n ** 63n),
    at: null,
    'user.name': 'é',
    'user.age': 3,
    price: -0.5,
    paid: true,
  };
  assert.deepEqual(await read(decoder(columns, { registry: address }), writer.encode(row)), row);
  const latest = await encoder(columns, { registry: address });
  assert.deepEqual(latest.encode(row), writer.encode(row), 'the latest is the one registered');
});

test('a nested record is left out where all its columns are null', async () => {
  const members = ['id', 'n'].map((name) => ({ name, type: 'int' }));
  const user = { type: 'record', name: 'User', fields: members };
  const fields = [{ name: 'user', type: ['null', user] }];
  const columns = { user: { id: int32().nullable(), n: int32().nullable() } };
  const writer = await encoder(columns, { schema: record(fields) });
  const reader = decoder(columns, { schema: record(fields) });
  for (const row of [
    { 'user.id': null, 'user.n': null },
    { 'user.id': 1, 'user.n': 2 },
  ]) {
    assert.deepEqual(await read(reader, writer.encode(row)), row);
  }
  assert.throws(() => writer.encode({ 'user.id': 1, 'user.n': null }), { code: 'row-refused' });
});

test('a sink says what does not fit before it writes', async () => {
  const rejects = async (
    columns: SchemaDefinition,
    fields: Fields,
    message: RegExp,
  ): Promise<void> => {
    const error = { code: 'schema-mismatch', message };
    await assert.rejects(encoder(columns, { schema: record(fields) }), error);
  };
  const id = { name: 'id', type: 'int' };
  await rejects({ id: int64() }, [id], /column "id" is int64, the field "id" is int$/);
  await rejects({ id: int32().nullable() }, [id], /column "id" may be null/);
  await rejects({ id: int32(), more: string() }, [id], /no field for column "more"/);
  await rejects({ id: int32() }, [id, { name: 'x', type: 'string' }], /no column "x"/);
  await assert.rejects(
    encoder({ j: json() }, { registry: { url: 'http://127.0.0.1:1' }, register: true }),
    {
      code: 'schema-mismatch',
    },
  );
});

test('avro needs a registry or a schema', () => {
  assert.throws(() => avro({}), { code: 'option-invalid' });
  assert.throws(() => avro({ schema: 'int', register: true }), { code: 'option-invalid' });
});
