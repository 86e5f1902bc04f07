// The sink against a made-up cluster: every way in which a request can come to nobody knows what,
// what a record looks like, and what users are told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { murmur2 as referenceMurmur2 } from '@platformatic/kafka';
import type { StreamError } from '../../base/stream-error.ts';
import type { FetchRequest, KafkaWire, ProduceRequest } from '../../ports/kafka-wire.ts';
import type { SinkRun, SinkWriter } from '../../ports/sink.ts';
import type { RowObject, RowSchema } from '../../schema/data-type.ts';
import { rowsAsBatch, sinkContext } from '../sink-writing.fixture.ts';
import { kafkaErrors } from './error-codes.ts';
import { FakeCluster, lost } from './fake-cluster.fixture.ts';
import type { Hook } from './fake-cluster.fixture.ts';
import { KafkaSink } from './kafka-sink.ts';
import type { KafkaSinkOptions } from './kafka-sink.ts';

const counts: RowSchema = {
  fields: [
    { name: 'batch', path: ['batch'], type: { kind: 'int32' }, nullable: false },
    { name: 'row', path: ['row'], type: { kind: 'int32' }, nullable: false },
  ],
};

const address = { brokers: 'fake:9092', topic: 'out', patienceMs: 2000 };

function sinkOn(
  cluster: FakeCluster,
  { hook, ...options }: Partial<KafkaSinkOptions> & { readonly hook?: Hook } = {},
): KafkaSink {
  return new KafkaSink({ ...address, ...options }, cluster.platform(hook));
}

async function opened(
  sink: KafkaSink,
  run: Partial<SinkRun> = {},
  schema: RowSchema = counts,
): Promise<SinkWriter> {
  const context = sinkContext(schema, run);
  await sink.prepare(context);
  return sink.open(0, context);
}

function commit(writer: SinkWriter, batch: number, rowCount = 3): Promise<void> {
  const rows = Array.from({ length: rowCount }, (_, row) => ({ batch, row }));
  return writer.commit({ batch, rows: rowsAsBatch(counts, rows), watermarkMs: 0 });
}

function seen(cluster: FakeCluster): RowObject[] {
  const records = cluster.committed('out').map(({ value }) => JSON.parse(value!) as RowObject);
  return records.toSorted((a, b) => Number(a['batch']) - Number(b['batch']));
}

function expected(batches: number, rowCount = 3): RowObject[] {
  return Array.from({ length: batches * rowCount }, (_, n) => {
    return { batch: Math.floor(n / rowCount), row: n % rowCount };
  });
}

/** What a writer tells the ledger afterwards; marks go to all of its partitions. */
function isWord({ api, asked }: Parameters<Hook>[0]): boolean {
  if (api !== 'produce') return false;
  const { transactionalId, partitions } = asked as ProduceRequest;
  return transactionalId === null && partitions.length === 1 && partitions[0]!.topic !== 'out';
}

const batches = 4;

type Fault = {
  readonly name: string;
  /** Requests after which one that is late is carried out all the same. */
  readonly lateBy: number;
  readonly apply: (act: () => Promise<unknown>) => Promise<never>;
};

const faults: readonly Fault[] = [
  { name: 'is never sent', lateBy: 0, apply: () => Promise.reject(lost(false)) },
  { name: 'is lost', lateBy: 0, apply: () => Promise.reject(lost(true)) },
  {
    name: 'is answered to nobody',
    lateBy: 0,
    apply: async (act) => {
      await act();
      throw lost(true);
    },
  },
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((lateBy) => {
    return { name: `comes ${lateBy} later`, lateBy, apply: () => Promise.reject(lost(true)) };
  }),
];

type Way = { readonly version: number; readonly onePhase: boolean };

const ways: readonly Way[] = [
  { version: 2, onePhase: false },
  { version: 0, onePhase: false },
  { version: 2, onePhase: true },
];

/** A job's life in which one request goes wrong. False: there are not so many requests. */
async function live({ version, onePhase }: Way, fault: Fault, at: number): Promise<boolean> {
  const cluster = new FakeCluster({ transactionVersion: version, brokers: 2 });
  cluster.addTopic('out', 2);
  let count = 0;
  let late: (() => Promise<unknown>) | null = null;
  const hook: Hook = async ({ api }, act) => {
    const number = count++;
    if (late !== null && number === at + fault.lateBy) await late();
    if (number !== at || api === 'metadata') return act();
    if (fault.lateBy > 0) late = act;
    return fault.apply(act);
  };
  const where = `request ${at} ${fault.name}, transaction.version ${version}`;
  const sink = sinkOn(cluster, { hook, onePhase });
  const writer = await opened(sink);
  for (let batch = 0; batch < batches; batch++) await commit(writer, batch);
  assert.deepEqual(seen(cluster), expected(batches), where);
  await writer.close();
  const next = await sinkOn(cluster).open(0, sinkContext(counts, { term: 2, resumes: true }));
  assert.equal(next.committedThrough, batches - 1, where);
  await next.close();
  assert.equal(cluster.wires, 0, 'all connections are closed');
  assert.equal(cluster.openTransactions('out'), 0, `nobody has to wait: ${where}`);
  return count > at;
}

for (const way of ways) {
  const name = way.onePhase ? 'in one phase' : `version ${way.version}`;
  for (const fault of faults) {
    test(`kafka, ${name}: a request that ${fault.name} changes nothing`, async () => {
      let at = 0;
      while (await live(way, fault, at)) at++;
      assert.ok(at > 20);
    });
  }
}

test('kafka: answers that are errors are asked again, or resolved by a new epoch', async () => {
  const answered: readonly [keyof KafkaWire, number][] = [
    ['produce', kafkaErrors.notLeaderOrFollower],
    ['produce', kafkaErrors.concurrentTransactions],
    ['produce', kafkaErrors.notEnoughReplicas],
    ['produce', kafkaErrors.requestTimedOut],
    ['produce', kafkaErrors.notEnoughReplicasAfterAppend],
    ['produce', kafkaErrors.outOfOrderSequenceNumber],
    ['produce', kafkaErrors.invalidProducerEpoch],
    ['produce', kafkaErrors.invalidTxnState],
    ['produce', kafkaErrors.transactionAbortable],
    ['endTransaction', kafkaErrors.notCoordinator],
    ['endTransaction', kafkaErrors.coordinatorLoadInProgress],
    ['endTransaction', kafkaErrors.concurrentTransactions],
    ['endTransaction', kafkaErrors.invalidTxnState],
    ['endTransaction', kafkaErrors.producerFenced],
    ['initProducerId', kafkaErrors.coordinatorLoadInProgress],
    ['initProducerId', kafkaErrors.concurrentTransactions],
    ['addPartitionsToTransaction', kafkaErrors.concurrentTransactions],
    ['addPartitionsToTransaction', kafkaErrors.invalidProducerIdMapping],
  ];
  for (const [api, error] of answered) {
    for (const nth of [0, 2, 4]) {
      const onePhase = nth > 0;
      const cluster = new FakeCluster({ transactionVersion: api.startsWith('add') ? 0 : 2 });
      cluster.addTopic('out', 1);
      let count = 0;
      const hook: Hook = async (request, act) => {
        if (request.api !== api || count++ !== nth) return act();
        const { partitions = [] } = request.asked as { partitions?: readonly object[] };
        const answer = { error, producerId: -1, epoch: -1 };
        const each = partitions.map((place) => ({ ...place, error, message: null, offset: -1 }));
        return (partitions.length > 0 ? each : answer) as Awaited<ReturnType<typeof act>>;
      };
      const writer = await opened(sinkOn(cluster, { hook, onePhase }));
      for (let batch = 0; batch < batches; batch++) await commit(writer, batch);
      assert.deepEqual(seen(cluster), expected(batches), `${api} ${error} ${nth}`);
    }
  }
});

test('kafka: a transaction that the cluster has aborted is made again', async () => {
  for (const transactionVersion of [2, 0]) {
    const cluster = new FakeCluster({ transactionVersion });
    cluster.addTopic('out', 1);
    let isDue = false;
    const hook: Hook = async ({ api }, act) => {
      if (api === 'endTransaction' && isDue) {
        isDue = false;
        cluster.expireTransactions();
      }
      return act();
    };
    const writer = await opened(sinkOn(cluster, { hook, onePhase: false }));
    await commit(writer, 0);
    isDue = true;
    await commit(writer, 1);
    assert.deepEqual(seen(cluster), expected(2));
  }
});

test('kafka: an older writer that opens late disturbs nobody', async () => {
  const cluster = new FakeCluster();
  cluster.addTopic('out', 1);
  const writer = await opened(sinkOn(cluster), { term: 2 });
  await commit(writer, 0);
  const late = sinkOn(cluster).open(0, sinkContext(counts, { term: 1, incarnation: 7 }));
  await assert.rejects(late, { code: 'fenced' });
  const before = cluster.requests.length;
  await commit(writer, 1);
  const apis = cluster.requests.slice(before).map(({ api }) => api);
  assert.deepEqual(apis, ['produce']);
});

test('kafka: a micro-batch of one record batch takes one request and no transaction', async () => {
  const cluster = new FakeCluster();
  cluster.addTopic('out', 3);
  const writer = await opened(sinkOn(cluster, { batchBytesMax: 200 }));
  const apisOf = async (act: () => Promise<void>): Promise<string[]> => {
    const before = cluster.requests.length;
    await act();
    return cluster.requests.slice(before).map(({ api }) => api);
  };
  assert.deepEqual(await apisOf(() => commit(writer, 0, 1)), ['produce']);
  assert.equal((await apisOf(() => commit(writer, 1, 20))).at(-1), 'endTransaction');
  assert.deepEqual(await apisOf(() => commit(writer, 2, 1)), ['produce']);
  const marked = cluster.committed('out').filter(({ headers }) => headers.length > 0);
  const names = new Set(marked.flatMap(({ headers }) => headers.map(([name]) => name)));
  assert.deepEqual([...names], ['mizzle-commit']);
  // The last one is found by its header alone.
  const next = await sinkOn(cluster).open(0, sinkContext(counts, { term: 2, resumes: true }));
  assert.equal(next.committedThrough, 2);
});

test('kafka: a writer that closes leaves nothing to look for', async () => {
  const cluster = new FakeCluster();
  cluster.addTopic('out', 1);
  const writer = await opened(sinkOn(cluster));
  await commit(writer, 3);
  await writer.close();
  const before = cluster.requests.length;
  const resumed = { term: 2, resumes: true };
  const next = await sinkOn(cluster, { onePhase: false }).open(0, sinkContext(counts, resumed));
  assert.equal(next.committedThrough, 3);
  const read = cluster.requests.slice(before).filter(({ api }) => api === 'fetchRecords');
  const topics = read.flatMap(({ asked }) =>
    (asked as FetchRequest).partitions.map(({ topic }) => topic),
  );
  assert.deepEqual([...new Set(topics)], ['out.mizzle-ledger']);
});

test('kafka: what was committed in one phase counts also for a sink that does not', async () => {
  const cluster = new FakeCluster();
  cluster.addTopic('out', 1);
  const writer = await opened(sinkOn(cluster));
  for (let batch = 0; batch < 3; batch++) await commit(writer, batch);
  const resumed = { term: 2, resumes: true };
  const next = await sinkOn(cluster, { onePhase: false }).open(0, sinkContext(counts, resumed));
  assert.equal(next.committedThrough, 2);
  await assert.rejects(commit(writer, 3), { code: 'fenced' });
  await commit(next, 3);
  assert.deepEqual(seen(cluster), expected(4));
});

test('kafka: records that are gone, and told what was committed, are an error', async () => {
  const cluster = new FakeCluster();
  cluster.addTopic('out', 1);
  const hook: Hook = (request, act) => (isWord(request) ? Promise.reject(lost(true)) : act());
  const writer = await opened(sinkOn(cluster, { hook }));
  await commit(writer, 0);
  cluster.deleteBefore('out', 0, 3);
  const resumed = sinkContext(counts, { term: 2, resumes: true });
  await assert.rejects(sinkOn(cluster).open(0, resumed), (error: StreamError) => {
    assert.equal(error.code, 'output-gone');
    assert.match(error.message, /partition 0/);
    return true;
  });
});

test('kafka: rows that come after their writer has looked for them are kept out', async () => {
  const cluster = new FakeCluster();
  cluster.addTopic('out', 1);
  let late: (() => Promise<unknown>) | null = null;
  let count = 0;
  const hook: Hook = async (request, act) => {
    const { api, asked } = request;
    if (api !== 'produce' || (asked as ProduceRequest).transactionalId !== null) return act();
    if (isWord(request)) return act();
    count++;
    if (count === 1) {
      late = act;
      throw lost(true);
    }
    if (count === 2) {
      const refused = (asked as ProduceRequest).partitions.map(({ topic, partition }) => {
        const error = kafkaErrors.outOfOrderSequenceNumber;
        return { topic, partition, error, message: null, offset: -1 };
      });
      return refused as Awaited<ReturnType<typeof act>>;
    }
    await late?.();
    late = null;
    return act();
  };
  const writer = await opened(sinkOn(cluster, { hook }));
  await commit(writer, 0);
  await commit(writer, 1);
  assert.deepEqual(seen(cluster), expected(2));
});

test('kafka: no word of a micro-batch comes behind the next one (seed 224)', async () => {
  const cluster = new FakeCluster();
  cluster.addTopic('out', 1);
  const due = Promise.withResolvers<void>();
  let isOpen = false;
  const hook: Hook = async ({ api }, act) => {
    if (api !== 'endTransaction' || !isOpen) return act();
    // What is told of the micro-batch before is due now, and waits for its turn.
    due.resolve();
    await setTimeout(1);
    return act();
  };
  // It is told once: the process ends before the next word.
  const sleeps = [due.promise, new Promise<never>(() => {})];
  const platform = { ...cluster.platform(hook), sleep: () => sleeps.shift() ?? due.promise };
  const sink = new KafkaSink({ ...address, batchBytesMax: 200 }, platform);
  const writer = await opened(sink);
  isOpen = true;
  await commit(writer, 0, 1);
  await commit(writer, 1, 30);
  await setTimeout(20);
  const apis = cluster.requests.map(({ api }) => api);
  assert.ok(apis.includes('endTransaction'), 'the second one was more than one batch of records');
  const next = await opened(sinkOn(cluster), { term: 2 });
  assert.equal(next.committedThrough, 1);
});

test('kafka: a compacted topic gets transactions only', async () => {
  const cluster = new FakeCluster();
  cluster.addTopic('out', 1, 'compact,delete');
  const writer = await opened(sinkOn(cluster));
  await commit(writer, 0);
  assert.equal(cluster.requests.at(-1)!.api, 'endTransaction');
});

test('kafka: an epoch that was not heard to be good for long is taken anew first', async () => {
  const cluster = new FakeCluster();
  cluster.addTopic('out', 1);
  const writer = await opened(sinkOn(cluster));
  await commit(writer, 0);
  cluster.nowMs += 3_600_000;
  const before = cluster.requests.length;
  await commit(writer, 1);
  const apis = cluster.requests.slice(before).map(({ api }) => api);
  assert.equal(apis[0], 'initProducerId');
  assert.deepEqual(seen(cluster), expected(2));
});

test('kafka: a commit takes two round trips, three before transaction.version 2', async () => {
  for (const transactionVersion of [2, 0]) {
    const cluster = new FakeCluster({ transactionVersion });
    cluster.addTopic('out', 4);
    const writer = await opened(sinkOn(cluster, { key: 'row' }));
    const before = cluster.requests.length;
    await commit(writer, 0, 50);
    const apis = cluster.requests.slice(before).map(({ api }) => api);
    const first = transactionVersion === 2 ? [] : ['addPartitionsToTransaction'];
    assert.deepEqual(apis, [...first, 'produce', 'endTransaction']);
    await commit(writer, 1, 0);
    assert.equal(cluster.requests.length, before + apis.length, 'no rows cost nothing');
  }
});

test('kafka: an equal pair fences its own former writer', async () => {
  const cluster = new FakeCluster();
  cluster.addTopic('out', 1);
  const former = await opened(sinkOn(cluster));
  await commit(former, 0);
  const writer = await sinkOn(cluster).open(0, sinkContext(counts, { resumes: true }));
  assert.equal(writer.committedThrough, 0);
  await assert.rejects(commit(former, 1), { code: 'fenced' });
  await commit(writer, 1);
  assert.deepEqual(seen(cluster), expected(2));
});

test('kafka: the ledger is found among those of many others, also after compaction', async () => {
  const cluster = new FakeCluster();
  cluster.addTopic('out', 1);
  const first = await opened(sinkOn(cluster), { pipeline: 'quiet' });
  await commit(first, 5);
  await first.close();
  const other = await opened(sinkOn(cluster), { pipeline: 'busy' });
  for (let sink = 0; sink < 16; sink++) {
    // By partition, so that it comes by all of the ledger's.
    const writer = await sinkOn(cluster).open(sink, sinkContext(counts, { pipeline: 'busy' }));
    for (let batch = 0; batch < 200; batch++) await commit(writer, batch, 1);
    await writer.close();
  }
  await other.close();
  for (const compacts of [false, true]) {
    if (compacts) cluster.compact('out.mizzle-ledger');
    const context = sinkContext(counts, { pipeline: 'quiet', term: 2, resumes: true });
    const again = await sinkOn(cluster).open(0, context);
    assert.equal(again.committedThrough, 5);
    await again.close();
  }
});

test('kafka: who closes a history fences also a writer that is opening just then', async () => {
  let stops = 0;
  for (let at = 0; ; at++, stops++) {
    const cluster = new FakeCluster();
    cluster.addTopic('out', 1);
    await sinkOn(cluster).prepare(sinkContext(counts));
    const next = sinkContext(counts, { history: 'second', term: 2, keeps: ['first'] });
    let count = 0;
    let before: RowObject[] = [];
    const hook: Hook = async (request, act) => {
      if (isWord(request) || count++ !== at) return act();
      await sinkOn(cluster).prepare(next);
      // In the same partition of the ledger: the mark is soon out of sight.
      const other = await sinkOn(cluster, { onePhase: false }).open(3 + 16, next);
      for (let batch = 100; batch < 300; batch++) await commit(other, batch, 1);
      before = seen(cluster);
      return act();
    };
    const zombie = sinkOn(cluster, { hook }).open(3, sinkContext(counts));
    const error = await zombie
      .then((writer) => commit(writer, 0))
      .then(
        () => null,
        (reason: unknown) => reason as StreamError,
      );
    if (count <= at) break;
    assert.equal(error?.code, 'fenced', `stopped before request ${at}`);
    const late = sinkOn(cluster).open(3, sinkContext(counts));
    await assert.rejects(late, { code: 'fenced' }, `stopped before request ${at}`);
    assert.deepEqual(seen(cluster), before, `stopped before request ${at}`);
  }
  assert.ok(stops > 8);
});

const people: RowSchema = {
  fields: [
    { name: 'user', path: ['user'], type: { kind: 'string' }, nullable: true },
    { name: 'n', path: ['n'], type: { kind: 'int64' }, nullable: false },
    { name: 'at', path: ['at'], type: { kind: 'timestamp', encoding: 'ms' }, nullable: true },
    { name: 'data', path: ['data'], type: { kind: 'json' }, nullable: true },
  ],
};

const persons: readonly RowObject[] = [
  { user: 'Zoë "Z"', n: 2n ** 60n, at: 1_700_000_000_123, data: { a: [1] } },
  { user: null, n: -1n, at: null, data: null },
  { user: '', n: 0n, at: 5, data: 'x' },
];

async function written(options: Partial<KafkaSinkOptions>, partitions = 1): Promise<FakeCluster> {
  const cluster = new FakeCluster();
  cluster.addTopic('out', partitions);
  const writer = await opened(sinkOn(cluster, options), {}, people);
  await writer.commit({ batch: 0, rows: rowsAsBatch(people, persons), watermarkMs: 0 });
  return cluster;
}

test('kafka: rows become records with key, value, time and headers', async () => {
  const plain = (await written({ onePhase: false })).committed('out');
  assert.deepEqual(
    plain.map(({ key, value, headers }) => [key, value, headers]),
    [
      [
        null,
        '{"user":"Zoë \\"Z\\"","n":1152921504606846976,"at":1700000000123,"data":{"a":[1]}}',
        [],
      ],
      [null, '{"user":null,"n":-1,"at":null,"data":null}', []],
      [null, '{"user":"","n":0,"at":5,"data":"x"}', []],
    ],
  );
  const full = (
    await written({
      key: 'user',
      omit: ['user', 'data'],
      timestamp: 'at',
      timestamps: 'iso',
      headers: { count: 'n', of: 'user' },
      onePhase: false,
    })
  ).committed('out');
  const nowMs = full[1]!.timestampMs;
  assert.ok(nowMs >= 1000 && nowMs < 2000, 'the time of writing, where there is none');
  assert.deepEqual(
    full.map(({ key, value, timestampMs, headers }) => [key, value, timestampMs, headers]),
    [
      [
        'Zoë "Z"',
        '{"n":1152921504606846976,"at":"2023-11-14T22:13:20.123Z"}',
        1_700_000_000_123,
        [
          ['count', '1152921504606846976'],
          ['of', 'Zoë "Z"'],
        ],
      ],
      [
        null,
        '{"n":-1,"at":null}',
        nowMs,
        [
          ['count', '-1'],
          ['of', null],
        ],
      ],
      [
        '',
        '{"n":0,"at":"1970-01-01T00:00:00.005Z"}',
        5,
        [
          ['count', '0'],
          ['of', ''],
        ],
      ],
    ],
  );
  const several = (await written({ key: ['n', 'user'], value: { column: 'data' } })).committed(
    'out',
  );
  assert.deepEqual(
    several.map(({ key, value }) => [key, value]),
    [
      ['{"n":1152921504606846976,"user":"Zoë \\"Z\\""}', '{"a":[1]}'],
      ['{"n":-1,"user":null}', null],
      ['{"n":0,"user":""}', '"x"'],
    ],
  );
});

test('kafka: keys go where the Java client puts them', async () => {
  const cluster = new FakeCluster({ brokers: 3 });
  cluster.addTopic('out', 7);
  const writer = await opened(sinkOn(cluster, { key: 'row' }));
  await commit(writer, 0, 300);
  const records = cluster.committed('out');
  assert.equal(records.length, 300);
  for (const { key, partition } of records) {
    assert.equal(partition, (referenceMurmur2(Buffer.from(key!)) & 0x7fffffff) % 7, key!);
  }
  assert.equal(new Set(records.map(({ partition }) => partition)).size, 7);
});

test('kafka: batches hold what they may, and what is greater goes alone', async () => {
  const cluster = new FakeCluster();
  cluster.addTopic('out', 2);
  const sizes: number[] = [];
  const hook: Hook = async ({ api, asked }, act) => {
    if (api !== 'produce') return act();
    const { partitions } = asked as { partitions: { topic: string; records: Uint8Array }[] };
    for (const { topic, records } of partitions) if (topic === 'out') sizes.push(records.length);
    return act();
  };
  const writer = await opened(sinkOn(cluster, { hook, batchBytesMax: 1000 }), {}, people);
  const rows = Array.from({ length: 100 }, (_, n) => {
    return { user: 'x'.repeat(n === 50 ? 3000 : n), n: BigInt(n), at: null, data: null };
  });
  await writer.commit({ batch: 0, rows: rowsAsBatch(people, rows), watermarkMs: 0 });
  assert.deepEqual(
    new Set(cluster.committed('out').map(({ value }) => (JSON.parse(value!) as RowObject)['n'])),
    new Set(rows.map(({ n }) => Number(n))),
  );
  assert.equal(cluster.committed('out').length, 100);
  assert.equal(sizes.filter((size) => size > 1000).length, 1);
  assert.ok(sizes.length < 25, 'and they are filled');
  assert.deepEqual(
    new Set(cluster.committed('out').map(({ partition }) => partition)),
    new Set([0, 1]),
  );
});

test('kafka, at least once: lost answers repeat nothing, and there is no ledger', async () => {
  for (const fault of faults) {
    for (let at = 0; at < 12; at++) {
      const cluster = new FakeCluster();
      cluster.addTopic('out', 1);
      let count = 0;
      const hook: Hook = async ({ api }, act) => {
        if (api !== 'produce' || count++ !== at) return act();
        return fault.apply(act);
      };
      const sink = sinkOn(cluster, { hook, guarantee: 'at-least-once' });
      const writer = await opened(sink);
      for (let batch = 0; batch < batches; batch++) await commit(writer, batch);
      assert.deepEqual(seen(cluster), expected(batches));
      assert.equal(cluster.hasTopic('out.mizzle-ledger'), false);
      assert.equal(writer.committedThrough, -1);
    }
  }
});

test('kafka: says what is wrong', async () => {
  const cluster = new FakeCluster();
  const refused = async (options: Partial<KafkaSinkOptions>): Promise<StreamError> => {
    const failed = opened(sinkOn(cluster, options), {}, people);
    return failed.then(
      () => assert.fail('it was refused'),
      (error: unknown) => error as StreamError,
    );
  };
  const unknown = await refused({ topic: 'none' });
  assert.equal(unknown.code, 'topic-unknown');
  assert.match(unknown.message, /"none" at fake:9092/);
  assert.ok(cluster.nowMs < 1100, 'at once');
  cluster.addTopic('out', 1);
  for (const options of [
    { key: 'usr' },
    { omit: ['usr'] },
    { headers: { of: 'usr' } },
    { partitionBy: 'usr' },
    { value: { column: 'n' } },
    { timestamp: 'n' },
  ]) {
    const error = await refused(options);
    assert.equal(error.code, 'option-invalid', JSON.stringify(options));
    assert.match(error.message, /column "(usr|n)"/);
  }
  for (const options of [{ key: [] }, { ledgerTopic: 'out' }, { create: { partitions: 0 } }]) {
    assert.throws(() => sinkOn(cluster, options), { code: 'option-invalid' });
  }
  cluster.messageBytesMax = 200;
  const writer = await opened(sinkOn(cluster, { key: 'row' }));
  const large = await commit(writer, 0, 100).then(
    () => assert.fail('it was refused'),
    (error: unknown) => error as StreamError,
  );
  assert.equal(large.code, 'record-too-large');
  assert.match(large.message, /topic "out".*key row/);
  assert.equal(cluster.openTransactions('out'), 0, 'readers need not wait');
});

test('kafka: makes the topic if it is asked to', async () => {
  const cluster = new FakeCluster();
  const writer = await opened(sinkOn(cluster, { create: { partitions: 3 } }));
  await commit(writer, 0);
  assert.deepEqual(seen(cluster), expected(1));
});

test('kafka: names what the cluster does not permit, and what does not pass', async () => {
  const cases: readonly [keyof KafkaWire, number, string, RegExp][] = [
    [
      'initProducerId',
      kafkaErrors.transactionalIdAuthorizationFailed,
      'kafka-permission',
      /fence "mizzle-out\.mizzle-ledger-test-out-0-first".*TRANSACTIONAL_ID_AUTHORIZATION_FAILED/,
    ],
    [
      'initProducerId',
      kafkaErrors.invalidTransactionTimeout,
      'option-invalid',
      /INVALID_TRANSACTION_TIMEOUT/,
    ],
    ['produce', kafkaErrors.topicAuthorizationFailed, 'kafka-permission', /topic "out/],
    ['produce', kafkaErrors.kafkaStorageError, 'kafka-unreachable', /KAFKA_STORAGE_ERROR/],
    [
      'produce',
      kafkaErrors.notEnoughReplicas,
      'kafka-refused',
      /NOT_ENOUGH_REPLICAS, for too long/,
    ],
  ];
  for (const [api, error, code, message] of cases) {
    const cluster = new FakeCluster();
    cluster.addTopic('out', 1);
    const hook: Hook = async (request, act) => {
      const { partitions = [], transactionalId } = request.asked as {
        readonly partitions?: readonly object[];
        readonly transactionalId?: string | null;
      };
      const isMark = transactionalId === null && partitions.length !== 1;
      if (request.api !== api || isMark) return act();
      const each = partitions.map((place) => ({ ...place, error, message: null, offset: -1 }));
      const answer = partitions.length > 0 ? each : { error, producerId: -1, epoch: -1 };
      return answer as Awaited<ReturnType<typeof act>>;
    };
    await assert.rejects(opened(sinkOn(cluster, { hook })), { code, message });
    assert.equal(cluster.wires, 0, 'all connections are closed');
  }
});

const ledger = 'out.mizzle-ledger';
const resuming = sinkContext(counts, { term: 2, resumes: true });

async function withOutput(): Promise<FakeCluster> {
  const cluster = new FakeCluster();
  cluster.addTopic('out', 2);
  const writer = await opened(sinkOn(cluster));
  await commit(writer, 0);
  await writer.close();
  return cluster;
}

test('a run that resumes does not believe that nothing is visible', async () => {
  const cluster = await withOutput();
  cluster.deleteTopic(ledger);
  await assert.rejects(sinkOn(cluster).prepare(resuming), {
    code: 'ledger-missing',
    message: /writing to "out": its ledger "out\.mizzle-ledger".* is gone/,
    hint: /--fresh/,
  });
  await assert.rejects(sinkOn(cluster).open(0, resuming), { code: 'ledger-missing' });
  assert.ok(!cluster.hasTopic(ledger), 'and makes none');
  cluster.addTopic(ledger, 16, 'compact');
  await sinkOn(cluster).prepare(resuming);
  cluster.deleteTopic(ledger);
  await sinkOn(cluster).prepare({ ...resuming, isNew: true });
  assert.ok(cluster.hasTopic(ledger), 'the sink is new in the pipeline');
  const unused = new FakeCluster();
  unused.addTopic('out', 1);
  await sinkOn(unused).prepare(resuming);
  assert.ok(unused.hasTopic(ledger), 'where nothing was ever written, nothing is visible');
  assert.equal(cluster.wires + unused.wires, 0);
});

test('a run that resumes does not believe in a ledger that has lost its beginning', async () => {
  const cluster = await withOutput();
  await sinkOn(cluster).prepare(resuming);
  cluster.deleteBefore(ledger, 3, 1);
  const emptied = {
    code: 'ledger-emptied',
    message: /writing to "out": partition 3 of its ledger .* does not say .* begun/,
    hint: /--fresh/,
  };
  await assert.rejects(sinkOn(cluster).prepare(resuming), emptied);
  const another = { ...resuming, run: { ...resuming.run, pipeline: 'another' } };
  await assert.rejects(sinkOn(cluster).prepare(another), { ...emptied, message: /partition 0/ });
  await sinkOn(cluster).prepare({ ...resuming, isNew: true });
  await sinkOn(cluster).prepare(resuming);
  assert.equal(cluster.wires, 0);
});

test('a ledger that forgets is refused', async () => {
  for (const policy of ['delete', 'compact,delete']) {
    const cluster = new FakeCluster();
    cluster.addTopic('out', 1);
    cluster.addTopic(ledger, 1, policy);
    await assert.rejects(sinkOn(cluster).prepare(sinkContext(counts)), {
      code: 'ledger-policy',
      message: new RegExp(`its cleanup\\.policy is "${policy}"`),
      hint: /cleanup\.policy=compact/,
    });
  }
});

test('a ledger that goes while a run lasts ends it, also where it is made anew', async () => {
  for (const isMadeAnew of [false, true]) {
    const cluster = new FakeCluster();
    cluster.addTopic('out', 2);
    let isDue = false;
    const hook: Hook = async ({ api }, act) => {
      if (!isDue || api !== 'produce') return act();
      isDue = false;
      cluster.deleteTopic(ledger);
      const answer = await act();
      if (isMadeAnew) cluster.addTopic(ledger, 16, 'compact');
      return answer;
    };
    const writer = await opened(sinkOn(cluster, { hook, onePhase: false }));
    await commit(writer, 0);
    isDue = true;
    await assert.rejects(commit(writer, 1), (error: StreamError) => {
      assert.equal(error.code, isMadeAnew ? 'ledger-changed' : 'ledger-missing', String(error));
      return true;
    });
    await writer.close();
    assert.deepEqual(seen(cluster), expected(1));
    assert.equal(cluster.openTransactions('out'), 0, 'readers need not wait');
  }
});

test('a ledger that goes ends also a run that writes to it afterwards', async () => {
  const cluster = new FakeCluster();
  cluster.addTopic('out', 2);
  const writer = await opened(sinkOn(cluster));
  await commit(writer, 0);
  cluster.deleteTopic(ledger);
  await commit(writer, 1);
  // Some turns of the event loop later it knows.
  await setTimeout(20);
  await assert.rejects(commit(writer, 2), { code: 'ledger-missing' });
  await writer.close();
  assert.deepEqual(seen(cluster), expected(2));
});
