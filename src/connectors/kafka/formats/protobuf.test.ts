import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import protobufjs from 'protobufjs';
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
import type { FormatDecoder, KafkaEncoder } from '../kafka-format.ts';
import { protobuf } from './protobuf.ts';
import type { ProtobufOptions } from './protobuf.ts';
import { RegistryStub } from './registry-stub.fixture.ts';
import { concatBytes, messageIndexBytes, messageIndexesOf, prefixOf } from './wire-format.ts';

async function stub(): Promise<RegistryStub> {
  const made = new RegistryStub();
  await made.listen();
  return made;
}

function decoder(columns: SchemaDefinition, options: ProtobufOptions): FormatDecoder {
  const use = { topic: 'orders', part: 'value', schema: schema(columns) } as const;
  return protobuf(options).decoder(use);
}

async function encoder(columns: SchemaDefinition, options: ProtobufOptions): Promise<KafkaEncoder> {
  const use = { topic: 'orders', part: 'value', schema: schema(columns) } as const;
  const made = protobuf(options).encoder(use);
  await made.prepare();
  return made;
}

async function read(from: FormatDecoder, value: Uint8Array): Promise<RowObject> {
  await from.prepare(value);
  return from.decode(value);
}

const proto = `
  syntax = "proto3";
  package shop;
  import "google/protobuf/timestamp.proto";
  import "google/protobuf/wrappers.proto";
  message Order {
    int64 id = 1;
    sint64 delta = 2;
    uint64 size = 3;
    int32 small = 4;
    double real = 5;
    string text_value = 6;
    bool flag = 7;
    bytes data = 8;
    Kind kind = 9;
    optional string note = 10;
    repeated int64 counts = 11;
    map<string, int32> tags = 12;
    User user = 13;
    oneof choice { int32 left = 14; string right = 15; }
    google.protobuf.Timestamp at = 16;
    google.protobuf.DoubleValue score = 17;
    repeated User others = 18;
  }
  message User { int64 id = 1; string name = 2; User boss = 3; }
  enum Kind { UNKNOWN = 0; GIFT = 1; }
`;

const columns = {
  id: int64(),
  delta: int64(),
  size: int64(),
  small: int32(),
  real: float64(),
  text_value: string(),
  flag: boolean(),
  data: string(),
  kind: string(),
  note: string().nullable(),
  counts: json(),
  tags: json(),
  user: { id: int64().nullable(), name: string().nullable() },
  left: int32().nullable(),
  at: timestamp('ms').nullable(),
  score: float64().nullable(),
};

function judge(): protobufjs.Type {
  const root = new protobufjs.Root();
  const common = protobufjs.common as unknown as { get(name: string): protobufjs.INamespace };
  for (const file of ['timestamp', 'wrappers']) {
    root.addJSON(common.get(`google/protobuf/${file}.proto`).nested!);
  }
  protobufjs.parse(proto, root, { keepCase: true });
  return root.lookupType('shop.Order');
}

const int64Value = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const orNull = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.option(value, { nil: null });
const user = orNull(fc.record({ id: int64Value, name: fc.string() }));
const rows = fc
  .record({
    id: int64Value,
    delta: int64Value,
    size: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
    small: fc.integer(),
    real: fc.double({ noNaN: true }),
    text_value: fc.string({ unit: 'grapheme' }),
    flag: fc.boolean(),
    data: fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes).toString('base64')),
    kind: fc.constantFrom('UNKNOWN', 'GIFT', '7'),
    note: orNull(fc.string()),
    counts: fc.array(int64Value.map(String), { maxLength: 3 }),
    tags: fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), fc.integer(), { noNullPrototype: true }),
    user,
    left: orNull(fc.integer()),
    at: orNull(fc.integer({ min: -8.64e12, max: 8.64e12 })),
    score: orNull(fc.double({ noNaN: true })),
  })
  .map(({ user: inner, ...rest }): RowObject => {
    return { ...rest, 'user.id': inner?.id ?? null, 'user.name': inner?.name ?? null };
  });

/** What protobufjs's own object conversion makes of the bytes, brought to the row's form. */
function judged(bytes: Uint8Array, type: protobufjs.Type): RowObject {
  const plain = type.toObject(type.decode(bytes), {
    longs: String,
    enums: String,
    bytes: String,
    defaults: true,
    arrays: true,
    objects: true,
  }) as { [name: string]: never };
  const inner = plain['user'] as { readonly id: string; readonly name: string } | null;
  const at = plain['at'] as { readonly seconds: string; readonly nanos: number } | null;
  const own = (name: string): never | null => {
    return Object.hasOwn(type.decode(bytes), name) ? plain[name]! : null;
  };
  return {
    id: BigInt(plain['id']!),
    delta: BigInt(plain['delta']!),
    size: BigInt(plain['size']!),
    small: plain['small']!,
    real: plain['real']!,
    text_value: plain['text_value']!,
    flag: plain['flag']!,
    data: plain['data']!,
    kind: String(plain['kind']),
    note: own('note'),
    counts: plain['counts']!,
    tags: plain['tags']!,
    'user.id': inner === null ? null : BigInt(inner.id),
    'user.name': inner === null ? null : inner.name,
    left: own('left'),
    at: at === null ? null : Number(at.seconds) * 1000 + Math.floor(at.nanos / 1e6),
    score: own('score') === null ? null : (plain['score'] as { readonly value: number }).value,
  };
}

test('protobuf writes what protobufjs reads, and reads it back', async () => {
  const type = judge();
  const writer = await encoder(columns, { proto, message: 'Order' });
  const reader = decoder(columns, { proto, message: 'shop.Order' });
  await fc.assert(
    fc.asyncProperty(rows, async (row) => {
      const bytes = writer.encode(row);
      assert.deepEqual(judged(bytes, type), row);
      assert.deepEqual(await read(reader, bytes), row);
    }),
  );
});

test('absent fields are their defaults, or null where a field tracks presence', async () => {
  assert.deepEqual(await read(decoder(columns, { proto, message: 'Order' }), new Uint8Array(0)), {
    id: 0n,
    delta: 0n,
    size: 0n,
    small: 0,
    real: 0,
    text_value: '',
    flag: false,
    data: '',
    kind: 'UNKNOWN',
    note: null,
    counts: [],
    tags: {},
    'user.id': null,
    'user.name': null,
    left: null,
    at: null,
    score: null,
  });
  const old = `syntax = "proto2"; message M {
    optional int32 a = 1 [default = 5]; optional int32 b = 2; required int32 c = 3; }`;
  const reader = decoder({ a: int32(), b: int32().nullable(), c: int32() }, { proto: old });
  assert.deepEqual(await read(reader, Uint8Array.of(24, 1)), { a: 5, b: null, c: 1 });
  await assert.rejects(read(reader, new Uint8Array(0)), /missing required 'c'/);
});

test('messages are JSON columns with names as in the schema', async () => {
  const type = judge();
  const least = protobufjs.util.LongBits.from('-9223372036854775808').toLong(false);
  const bytes = type
    .encode({
      user: { id: least, name: 'n', boss: { name: 'b' } },
      others: [{ id: 1 }],
      at: { seconds: 1, nanos: 5_000_000 },
    })
    .finish();
  const all = { user: json(), others: json(), at: json() };
  const reader = decoder(all, { proto, message: 'Order' });
  assert.deepEqual(await read(reader, bytes), {
    user: { id: '-9223372036854775808', name: 'n', boss: { id: '0', name: 'b', boss: null } },
    others: [{ id: '1', name: '', boss: null }],
    at: '1970-01-01T00:00:01.005Z',
  });
  const writer = await encoder(
    { user: json(), others: json(), at: json() },
    { proto, message: 'Order' },
  );
  assert.deepEqual(
    Uint8Array.from(writer.encode(await read(reader, bytes))),
    Uint8Array.from(bytes),
  );
});

test('a uint64 beyond a float64 is a bad record there, never rounded', async () => {
  const text = 'syntax = "proto3"; message M { uint64 n = 1; }';
  const bytes = Uint8Array.of(8, ...Array.from({ length: 9 }, () => 0xff), 1);
  assert.deepEqual(await read(decoder({ n: int64() }, { proto: text }), bytes), {
    n: 2n ** 64n - 1n,
  });
  await assert.rejects(read(decoder({ n: float64() }, { proto: text }), bytes), /without rounding/);
  const writer = await encoder({ n: int64() }, { proto: text });
  assert.throws(() => writer.encode({ n: -1n }), { code: 'row-refused', message: /uint64/ });
});

test('message indexes are read and written as the wire format has them', () => {
  assert.deepEqual(messageIndexBytes([0]), Uint8Array.of(0));
  assert.deepEqual(messageIndexBytes([1, 0]), Uint8Array.of(4, 2, 0));
  assert.deepEqual(messageIndexesOf(Uint8Array.of(2, 0, 9), 0), { indexes: [0], end: 2 });
  assert.equal(messageIndexesOf(Uint8Array.of(4, 2), 0), null);
  assert.equal(messageIndexesOf(Uint8Array.of(1), 0), null);
  fc.assert(
    fc.property(fc.array(fc.nat(100_000), { minLength: 1, maxLength: 20 }), (indexes) => {
      const bytes = messageIndexBytes(indexes);
      assert.deepEqual(messageIndexesOf(bytes, 0), { indexes, end: bytes.length });
    }),
  );
});

const nested = `
  syntax = "proto3";
  package deep;
  import "other.proto";
  enum First { NONE = 0; }
  message A { message B { int32 x = 1; } message C { int64 y = 1; other.Thing thing = 2; } }
  message D { string z = 1; }
`;
const other = 'syntax = "proto3"; package other; message Thing { string name = 1; }';

test('a record says which message it is, also a nested one (stub of the contract)', async () => {
  await using registry = await stub();
  registry.add('other', other, { schemaType: 'PROTOBUF' });
  const references = [{ name: 'other.proto', subject: 'other', version: 1 }];
  const id = registry.add('orders-value', nested, { schemaType: 'PROTOBUF', references });
  const address = { registry: { url: registry.url } };
  const at = (indexes: readonly number[], ...body: readonly number[]): Uint8Array =>
    concatBytes(prefixOf(id), messageIndexBytes(indexes), Uint8Array.from(body));
  const reader = decoder({ y: int64(), thing: { name: string().nullable() } }, address);
  assert.deepEqual(await read(reader, at([0, 1], 8, 5, 18, 3, 10, 1, 0x61)), {
    y: 5n,
    'thing.name': 'a',
  });
  await assert.rejects(async () => reader.prepare(at([1])), {
    code: 'schema-mismatch',
    message: /schema \d+, message "deep.D", .*column "y" of int64 is not there/,
  });
  await assert.rejects(async () => reader.prepare(at([7])), { code: 'schema-mismatch' });
  const named = decoder({ z: string() }, { ...address, message: 'D' });
  assert.deepEqual(await read(named, at([1], 10, 1, 0x62)), { z: 'b' });
  await assert.rejects(async () => named.prepare(at([0])), {
    code: 'schema-mismatch',
    message: /a record is a "deep.A", not a "D"/,
  });
});

test('a sink writes id and message of what it registered (stub of the contract)', async () => {
  await using registry = await stub();
  const address = { registry: { url: registry.url } };
  registry.add('other', other, { schemaType: 'PROTOBUF' });
  const references = [{ name: 'other.proto', subject: 'other', version: 1 }];
  const row = { y: 2n ** 63n - 1n };
  const options = { ...address, proto: nested, message: 'A.C', references };
  await assert.rejects(encoder({ y: int64() }, options), { code: 'subject-unknown' });
  const writer = await encoder({ y: int64() }, { ...options, register: true });
  assert.deepEqual([...writer.encode(row).subarray(5, 8)], [4, 0, 2]);
  assert.deepEqual(await read(decoder({ y: int64() }, address), writer.encode(row)), row);
  const again = await encoder({ y: int64() }, options);
  assert.deepEqual(again.encode(row), writer.encode(row));
  const latest = await encoder({ y: int64() }, { ...address, message: 'deep.A.C' });
  assert.deepEqual(latest.encode(row), writer.encode(row));
});

test('by a schema of its own a source reads field numbers (stub of the contract)', async () => {
  await using registry = await stub();
  const mine = 'syntax = "proto3"; message Mine { int32 renamed = 1; optional string more = 2; }';
  const reader = decoder(
    { renamed: int32(), more: string().nullable() },
    { registry: { url: registry.url }, proto: mine },
  );
  const value = concatBytes(prefixOf(9), messageIndexBytes([3]), Uint8Array.of(8, 5, 24, 1));
  assert.deepEqual(await read(reader, value), { renamed: 5, more: null });
  assert.equal(registry.seen.length, 0);
});

test('mismatches name the field and both types', async () => {
  const rejects = async (of: SchemaDefinition, message: RegExp): Promise<void> => {
    const made = decoder(of, { proto, message: 'Order' });
    await assert.rejects(async () => made.prepare(new Uint8Array(0)), {
      code: 'schema-mismatch',
      message,
    });
  };
  await rejects({ id: int32() }, /column "id" is declared int32, the field "id" is int64/);
  await rejects({ counts: string() }, /the field "counts" is repeated int64/);
  await rejects({ tags: string() }, /the field "tags" is map<string, int32>/);
  await rejects({ user: string() }, /the field "user" is shop.User/);
  await rejects({ absent: string() }, /has no field "absent"/);
  await assert.rejects(encoder({ id: int64().nullable() }, { proto, message: 'Order' }), {
    code: 'schema-mismatch',
    message: /column "id" may be null, its field of int64 may not be absent/,
  });
  await assert.rejects(
    encoder({ nope: string() }, { proto, message: 'Order' }),
    /no field for column/,
  );
  await assert.rejects(encoder({ id: int64() }, { proto }), /several messages/);
  const broken = decoder({ id: int64() }, { proto: 'syntax = "proto3"; message M { Foo x = 1; }' });
  await assert.rejects(async () => broken.prepare(new Uint8Array(0)), { code: 'schema-invalid' });
});

test('broken bytes are bad records, whatever they are (stub of the contract)', async () => {
  await using registry = await stub();
  const plain = decoder({ ...columns, others: json() }, { proto, message: 'Order' });
  await plain.prepare(new Uint8Array(0));
  const framed = decoder({ id: int64() }, { registry: { url: registry.url } });
  await assert.rejects(read(framed, Buffer.from('{}')), /no schema id/);
  await assert.rejects(read(framed, Uint8Array.of(0, 0, 0, 0, 1)), /no path to its message/);
  const attempt = (bytes: Uint8Array): void => {
    try {
      plain.decode(bytes);
    } catch (error) {
      assert.ok(error instanceof Error, String(error));
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), attempt), { numRuns: 2_000 });
  const writer = await encoder(columns, { proto, message: 'Order' });
  fc.assert(
    fc.property(rows, fc.nat(), fc.nat(255), (row, at, byte) => {
      const bytes = Uint8Array.from(writer.encode(row));
      if (bytes.length > 0) bytes[at % bytes.length] = byte;
      attempt(bytes);
    }),
    { numRuns: 1_000 },
  );
});

test('protobuf needs a registry or a schema', () => {
  assert.throws(() => protobuf({}), { code: 'option-invalid' });
  assert.throws(() => protobuf({ proto, register: true }), { code: 'option-invalid' });
});
