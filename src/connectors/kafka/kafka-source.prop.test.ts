import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Isolation, KafkaCompression } from '../../ports/kafka-wire.ts';
import { offsetAt } from '../../ports/source-chunk.ts';
import type { SourceChunk } from '../../ports/source-chunk.ts';
import { int32, int64, string, timestamp } from '../../schema/column-type.ts';
import { schema } from '../../schema/schema.ts';
import { readAll, sourceContext } from '../source-reading.fixture.ts';
import { TestCluster } from './kafka-logs.fixture.ts';
import type { TestLog } from './kafka-logs.fixture.ts';
import { makeKafkaSource } from './kafka-source.ts';
import type { TestRecord } from './record-encoder.fixture.ts';
import type { KafkaRecord } from './row-decoder.ts';
import type { KafkaSourceOptions } from './source-options.ts';

type Step =
  | {
      readonly kind: 'batch';
      readonly records: readonly Omit<TestRecord, 'offset'>[];
      readonly compression: KafkaCompression;
      readonly producerId: number;
      readonly transactional: boolean;
      readonly appendTimeMs: number | undefined;
    }
  | { readonly kind: 'mark'; readonly producerId: number; readonly marker: 'commit' | 'abort' };

const textArbitrary = fc.string({ unit: 'grapheme', maxLength: 40 });
const objectArbitrary = fc
  .record({ n: fc.integer(), t: textArbitrary, more: fc.jsonValue({ maxDepth: 1 }) })
  .chain((value) =>
    fc.constantFrom(undefined, 1, 4).map((indent) => JSON.stringify(value, null, indent)),
  );
const valueArbitrary = fc.oneof(
  { arbitrary: objectArbitrary, weight: 8 },
  { arbitrary: fc.constantFrom('{}', ' { } \n', '{"n":1}\n\n', '[1,\n2]', '"a\nb"'), weight: 2 },
  {
    arbitrary: fc.integer({ min: 600, max: 720 }).map((n) => `{"t":"${'x'.repeat(n)}"}`),
    weight: 1,
  },
  { arbitrary: fc.constant(null), weight: 1 },
);
const bytesArbitrary = fc.oneof(
  textArbitrary,
  fc.constant(null),
  fc.constant('"\\\n\u0001'),
  fc.string({ minLength: 30, maxLength: 90 }),
);
const recordArbitrary = fc.record({
  value: valueArbitrary,
  key: bytesArbitrary,
  timestampMs: fc.integer({ min: 0, max: 2 ** 42 }),
  headers: fc.array(fc.tuple(fc.constantFrom('h', 'trace', 'x\n'), bytesArbitrary), {
    maxLength: 3,
  }),
});
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('batch' as const),
      records: fc.array(recordArbitrary, { minLength: 1, maxLength: 12 }),
      compression: fc.constantFrom('none', 'none', 'none', 'gzip', 'zstd'),
      producerId: fc.integer({ min: 1, max: 3 }),
      transactional: fc.boolean(),
      appendTimeMs: fc.constantFrom(undefined, undefined, 5_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('mark' as const),
      producerId: fc.integer({ min: 1, max: 3 }),
      marker: fc.constantFrom('commit', 'abort'),
    }),
  },
);
const caseArbitrary = fc.record({
  steps: fc.array(stepArbitrary, { minLength: 1, maxLength: 12 }),
  dropped: fc.option(fc.array(fc.nat(60))),
  isolation: fc.constantFrom<Isolation>('read-committed', 'read-uncommitted'),
  answerBytesMax: fc.integer({ min: 200, max: 4000 }),
  takes: fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 5 }),
  fromShare: fc.double({ min: 0, max: 1, noNaN: true }),
});
type Case = typeof caseArbitrary extends fc.Arbitrary<infer T> ? T : never;

function clusterOf({ steps, dropped, answerBytesMax }: Case): TestCluster {
  const cluster = new TestCluster(1);
  const log = cluster.logs[0]!;
  for (const step of steps) {
    if (step.kind === 'mark') log.mark(step.producerId, step.marker);
    else {
      const { records, compression, producerId, transactional, appendTimeMs } = step;
      const append = appendTimeMs === undefined ? {} : { appendTimeMs };
      log.append(records, { compression, producerId, transactional, ...append });
    }
  }
  if (dropped !== null) log.compact((offset) => !dropped.includes(offset));
  cluster.answerBytesMax = answerBytesMax;
  return cluster;
}

/** Its lines as they were when one take more had followed: they stay valid that long. */
type Taken = { readonly chunk: SourceChunk; readonly lines: readonly Line[] };

/** Reads it all; checks that ranges join, and that they can be read again. */
async function chunksOf(
  given: Case,
  cluster: TestCluster,
  options: Partial<KafkaSourceOptions>,
): Promise<readonly Taken[]> {
  const columns = schema({
    n: int32().nullable(),
    t: string().nullable(),
    key: string().nullable(),
    at: timestamp('ms'),
    offset: int64(),
    trace: string().nullable(),
  });
  const { isolation } = given;
  const { source } = makeKafkaSource(
    {
      brokers: 'test:9092',
      topic: 'orders',
      until: 'latest',
      isolation,
      ...options,
      schema: columns,
    },
    cluster.platform(),
  );
  const layout = await source.layout!(sourceContext());
  const context = sourceContext({ layout });
  const reader = await source.open(0, { ...context, from: startOf(given, cluster.logs[0]!) });
  const taken: Taken[] = [];
  let last: SourceChunk | null = null;
  const keepLast = (): void => {
    if (last !== null) taken.push({ chunk: last, lines: linesOf(last) });
  };
  let takes = 0;
  await readAll(
    reader,
    () => given.takes[takes++ % given.takes.length]!,
    (chunk) => {
      keepLast();
      last = chunk;
    },
  );
  keepLast();
  await reader.close();
  taken.forEach(({ chunk }, index) => {
    if (index > 0) assert.equal(chunk.from, taken[index - 1]!.chunk.to, 'ranges join');
  });
  const replayer = await source.replayer!(0, context);
  for (const { chunk, lines } of taken) {
    const again = await replayer.read(chunk.from, chunk.to);
    assert.deepEqual(linesOf(again), lines, `[${chunk.from}, ${chunk.to}) again`);
  }
  await replayer.close();
  assert.equal(cluster.openWires, 0);
  return taken;
}

function startOf({ fromShare, isolation }: Case, log: TestLog): number {
  const end = isolation === 'read-committed' ? log.stableEnd : log.end;
  return Math.floor(end * fromShare);
}

type Line = { readonly offset: number; readonly text: string };

function linesOf({ data }: SourceChunk): readonly Line[] {
  if (data.kind !== 'bytes') return [];
  return data.pieces.flatMap((piece) => {
    const { bytes, start, end } = piece;
    assert.equal(bytes[end - 1], 10, 'a piece ends with a line');
    const lines: Line[] = [];
    for (let at = start; at < end;) {
      const next = bytes.indexOf(10, at);
      const text = new TextDecoder().decode(bytes.subarray(at, next));
      if (text !== '') lines.push({ text, offset: offsetAt(piece, at + (text.length >> 1)) });
      at = next + 1;
    }
    return lines;
  });
}

function expectedOf(given: Case, log: TestLog): readonly TestRecord[] {
  const start = startOf(given, log);
  return log.visible(given.isolation).filter(({ offset }) => offset >= start);
}

const runs = { numRuns: 150 };

test('kafkaSource gives every visible value once and at its offset', async () => {
  await fc.assert(
    fc.asyncProperty(caseArbitrary, async (given) => {
      const cluster = clusterOf(given);
      const lines = (await chunksOf(given, cluster, {})).flatMap(({ lines }) => lines);
      const expected = expectedOf(given, cluster.logs[0]!).filter(({ value }) => value !== null);
      assert.deepEqual(
        lines,
        // A carriage return is where a line feed was: no line may end inside a record.
        expected.map(({ offset, value }) => ({
          offset,
          text: (value as string).replaceAll('\n', '\r'),
        })),
      );
    }),
    runs,
  );
});

test('kafkaSource puts key, offset, time and header into the record', async () => {
  await fc.assert(
    fc.asyncProperty(caseArbitrary, async (given) => {
      const cluster = clusterOf(given);
      const columns = {
        key: 'key',
        at: 'timestamp',
        offset: 'offset',
        trace: { header: 'trace' },
      } as const;
      const taken = await chunksOf(given, cluster, { columns });
      const lines = taken.flatMap(({ lines: each }) => each);
      const log = cluster.logs[0]!;
      const expected = expectedOf(given, log).filter(({ value }) => value !== null);
      assert.equal(lines.length, expected.length);
      lines.forEach(({ text, offset }, index) => {
        const record = expected[index]!;
        assert.equal(offset, record.offset);
        const value = record.value as string;
        const plain = parsed(value);
        if (plain === undefined || Array.isArray(plain)) {
          assert.equal(text, value.replaceAll('\n', '\r'), 'no object: left to the scanner');
          return;
        }
        const found = JSON.parse(text) as object;
        const trace = (record.headers ?? []).findLast(([name]) => name === 'trace');
        const at = timeOf(log, record);
        const members = { key: record.key, at, offset, trace: trace?.[1] ?? null };
        assert.deepEqual(found, { ...(plain as object), ...members });
      });
    }),
    runs,
  );
});

test('kafkaSource gives text as a member, escaped', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(bytesArbitrary, { minLength: 1, maxLength: 30 }), async (values) => {
      const cluster = new TestCluster(1);
      cluster.logs[0]!.append(values.map((value) => ({ value, key: 'k' })));
      const { source } = makeKafkaSource(
        {
          brokers: 'test:9092',
          topic: 'orders',
          until: 'latest',
          format: 'text',
          columns: { key: 'key' },
          schema: schema({ line: string(), key: string() }),
        },
        cluster.platform(),
      );
      const context = sourceContext({ layout: await source.layout!(sourceContext()) });
      const reader = await source.open(0, context);
      const lines: unknown[] = [];
      await readAll(
        reader,
        () => 100,
        (chunk) => lines.push(...linesOf(chunk).map(({ text }) => JSON.parse(text) as unknown)),
      );
      await reader.close();
      const expected = values.filter((value) => value !== null);
      assert.deepEqual(
        lines,
        expected.map((line) => ({ line, key: 'k' })),
      );
    }),
    runs,
  );
});

test('kafkaSource decodes by a function, which gets all that a record has', async () => {
  await fc.assert(
    fc.asyncProperty(caseArbitrary, async (given) => {
      const cluster = clusterOf(given);
      const prepared = new Set<string>();
      const decode = (value: Uint8Array, record: KafkaRecord) => {
        const text = textOf(value)!;
        assert.ok(prepared.has(text), 'what a value needs is there');
        if (text.length % 5 === 0) throw new Error('five');
        const { key, offset, timestampMs, headers } = record;
        const pairs = headers.map(([name, each]) => [name, textOf(each)]);
        return { t: text, key: textOf(key), at: timestampMs, n: offset, headers: pairs };
      };
      const prepare = async (value: Uint8Array): Promise<void> => {
        await Promise.resolve();
        prepared.add(textOf(value)!);
      };
      const taken = await chunksOf(given, cluster, { format: { decode, prepare } });
      const log = cluster.logs[0]!;
      const expected = expectedOf(given, log).filter(({ value }) => value !== null);
      const data = taken.flatMap(({ chunk }) => (chunk.data.kind === 'rows' ? [chunk.data] : []));
      const isBad = ({ value }: TestRecord): boolean =>
        new TextDecoder().decode(Buffer.from(value as string)).length % 5 === 0;
      assert.deepEqual(
        data.flatMap(({ rows }) => rows),
        expected
          .filter((record) => !isBad(record))
          .map((record) => ({
            t: record.value,
            key: record.key,
            at: timeOf(log, record),
            n: record.offset,
            headers: record.headers,
          })),
      );
      assert.deepEqual(
        data.flatMap(({ places }) =>
          places!.bad.map(({ offset, message }) => ({ offset, message })),
        ),
        expected.filter(isBad).map(({ offset }) => ({
          offset,
          message: 'it could not be decoded: five',
        })),
      );
      assert.deepEqual(
        data.flatMap(({ places }) => places!.offsets),
        expected.filter((record) => !isBad(record)).map(({ offset }) => offset),
      );
    }),
    runs,
  );
});

function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

function parsed(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The broker's time stands for all records of a batch that has it. */
function timeOf(log: TestLog, record: TestRecord): number {
  const { batch } = log.batches.find(({ base, last }) => {
    return record.offset >= base && record.offset <= last;
  })!;
  return batch.appendTimeMs ?? record.timestampMs!;
}
