// The range log in a topic of Kafka. A partition is one order of records that all see alike: an
// append is a record, and it counts unless a seal of its writer stands before it. So a writer adds,
// reads what is new in front of what it added, if the offset tells that anything is, and then
// knows; a driver that has added a seal knows, too.

import { AppendQueue } from '../../base/append-queue.ts';
import { appendsOf, logFenced } from '../../control/storage/range-log-errors.ts';
import { sealKeptMs } from '../../control/limits.ts';
import { mergeRanges } from '../../control/storage/merge-ranges.ts';
import { sameRange } from '../../control/storage/range-frame.ts';
import type { KafkaPlatform } from '../../ports/kafka-wire.ts';
import type { LoggedRange, RangeLog, RangeLogWriter } from '../../ports/range-log.ts';
import { kafkaErrors } from './error-codes.ts';
import { endOfLog, findOffsets } from './find-offsets.ts';
import type { KafkaClient } from './kafka-client.ts';
import type { LogMark, LogOwner, LogWriterState } from './log-marks.ts';
import { encodeMark, rangesMark } from './log-marks.ts';
import type { LogPlace } from './log-scan.ts';
import { LogScan } from './log-scan.ts';
import type { BatchSender } from './record-buffer.ts';
import { RecordBuffer, sealed } from './record-buffer.ts';
import { onlyText } from './text-column.ts';

export type KafkaRangeLogOptions = {
  readonly client: KafkaClient;
  readonly platform: Pick<KafkaPlatform, 'nowMs' | 'newToken' | 'codecs'>;
  /** Of this pipeline only; made where there is none. */
  readonly topic: string;
  readonly owner: LogOwner;
  /** -1: the brokers' default. */
  readonly replication: number;
  /** Deleting waits for as many records: it costs requests, and marks that are written again. */
  readonly releaseRecordsMin?: number;
};

/** Writers share them; each reads all of its own, and a driver reads every one. */
const partitionCount = 8;
const releaseRecordsMinDefault = 1000;
const produceTimeoutMs = 30_000;

export class KafkaRangeLog implements RangeLog {
  readonly description: string;
  readonly #options: KafkaRangeLogOptions;
  #scans: Promise<readonly LogScan[]> | null = null;
  /** One after the other: scans go forward by themselves. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #releasedTo: number[] = [];

  constructor(options: KafkaRangeLogOptions) {
    this.#options = options;
    this.description = `the topic "${options.topic}" at ${options.client.wire.description}`;
  }

  writer(name: string, term: number): RangeLogWriter {
    return new KafkaLogWriter(this.#options, () => this.#partitions(), { name, term });
  }

  async fence(term: number): Promise<void> {
    const count = await this.#partitions();
    const all = Array.from({ length: count }, (_, partition) => partition);
    await Promise.all(all.map((partition) => this.#append(partition, [{ kind: 'fence', term }])));
  }

  async seal(writer: string): Promise<void> {
    const partition = partitionOf(writer, await this.#partitions());
    const atMs = this.#options.platform.nowMs();
    await this.#append(partition, [{ kind: 'seal', writer, atMs }]);
  }

  read(afterBatch: number): Promise<readonly LoggedRange[]> {
    return this.#inTurn(async () => {
      const scans = await this.#toEnd();
      const ranges = scans.flatMap((scan) => scan.rangesAfter(afterBatch));
      return mergeRanges(ranges, afterBatch, sameRange);
    });
  }

  keepUp(afterBatch: number): Promise<void> {
    return this.#inTurn(async () => {
      for (const scan of await this.#toEnd()) scan.decode(afterBatch);
    });
  }

  writers(): Promise<readonly string[]> {
    return this.#inTurn(async () => {
      const scans = await this.#toEnd();
      return scans.flatMap(({ state }) => [...state.writers.keys()]);
    });
  }

  release(throughBatch: number): Promise<void> {
    return this.#inTurn(async () => {
      const scans = await this.#toEnd();
      const { releaseRecordsMin = releaseRecordsMinDefault } = this.#options;
      for (const [partition, { state }] of scans.entries()) {
        const live = state.ranges.findIndex((each) => each.throughBatch > throughBatch);
        const past = live < 0 ? state.ranges.length : live;
        const before = state.ranges[past - 1]?.offset ?? -1;
        if (before - (this.#releasedTo[partition] ?? 0) < releaseRecordsMin) continue;
        await this.#release(partition, before + 1);
      }
    });
  }

  close(): Promise<void> {
    return this.#options.client.close();
  }

  /** Says again who may write and who may not, and then deletes what stands before an offset. */
  async #release(partition: number, before: number): Promise<void> {
    const { client, topic } = this.#options;
    const at = { topic, partition };
    const scan = (await this.#open())[partition]!;
    const nowMs = this.#options.platform.nowMs();
    const kept = [...scan.state.writers].filter(([, { sealedMs }]) => {
      return sealedMs === null || nowMs - sealedMs < sealKeptMs;
    });
    const marks: LogMark[] = kept.map(([writer, state]) => markOf(writer, state));
    if (scan.state.fenced > 0) marks.push({ kind: 'fence', term: scan.state.fenced });
    if (marks.length > 0) await scan.through(await this.#append(partition, marks));
    // What a dead writer has added behind the seal that goes would count without it.
    const strays = kept.some(([writer]) => {
      const { sealedMs, sealedAgainAt } = scan.state.writers.get(writer)!;
      const at = scan.state.strayAt(writer);
      return sealedMs !== null && at >= before && at < sealedAgainAt;
    });
    if (strays) return;
    await client.askLeader(this.#what('release'), at, {
      ask: ({ broker }) => client.wire.deleteRecords(broker, [{ ...at, offset: before }]),
      // Somebody has deleted more.
      expected: [kafkaErrors.offsetOutOfRange],
    });
    this.#releasedTo[partition] = before;
    scan.state.ranges = scan.state.ranges.filter(({ offset }) => offset >= before);
  }

  async #append(partition: number, marks: readonly LogMark[]): Promise<number> {
    return appendMarks(this.#options, partition, marks);
  }

  async #toEnd(): Promise<readonly LogScan[]> {
    const scans = await this.#open();
    const { client, topic } = this.#options;
    const asked = scans.map((_, partition) => ({ topic, partition, timestamp: endOfLog }));
    const ends = await findOffsets(client, 'read-uncommitted', asked);
    await Promise.all(scans.map((scan, partition) => scan.through(ends[partition]! - 1)));
    return scans;
  }

  #open(): Promise<readonly LogScan[]> {
    this.#scans ??= this.#partitions().then((count) =>
      Array.from({ length: count }, (_, partition) => {
        return new LogScan(placeOf(this.#options, partition, true));
      }),
    );
    return this.#scans;
  }

  #counted: Promise<number> | null = null;

  /** As many as the topic has, which is made where it is missing. */
  #partitions(): Promise<number> {
    this.#counted ??= this.#prepared();
    this.#counted.catch(() => (this.#counted = null));
    return this.#counted;
  }

  async #prepared(): Promise<number> {
    const { client, topic, replication } = this.#options;
    if ((await client.findTopic(topic)) === null) {
      const configs = { 'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1' };
      await client.createTopic({ topic, partitions: partitionCount, replication, configs });
    }
    const attempt = { what: this.#what('prepare'), at: client.wire.description };
    return client.retried(attempt, async () => {
      const found = await client.findTopic(topic);
      if (found === null || found.partitions.length === 0) {
        return { again: kafkaErrors.leaderNotAvailable };
      }
      return { done: found.partitions.length };
    });
  }

  #inTurn<Result>(action: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(action);
    this.#turn = result.catch(() => {});
    return result;
  }

  #what(doing: string): string {
    return `${doing} the range log in the topic "${this.#options.topic}"`;
  }
}

class KafkaLogWriter implements RangeLogWriter {
  readonly #options: KafkaRangeLogOptions;
  readonly #partitions: () => Promise<number>;
  readonly #name: string;
  readonly #term: number;
  readonly #token: string;
  readonly #queue: AppendQueue<LoggedRange>;
  #scan: LogScan | null = null;
  #partition = -1;
  #throughBatch = -1;

  constructor(
    options: KafkaRangeLogOptions,
    partitions: () => Promise<number>,
    { name, term }: { readonly name: string; readonly term: number },
  ) {
    this.#options = options;
    this.#partitions = partitions;
    this.#name = name;
    this.#term = term;
    this.#token = options.platform.newToken();
    this.#queue = new AppendQueue(appendsOf(name, (records) => this.#write(records)));
  }

  append(records: readonly LoggedRange[]): Promise<void> {
    return this.#queue.append(records);
  }

  close(): Promise<void> {
    return this.#queue.close();
  }

  async #write(ranges: readonly LoggedRange[]): Promise<void> {
    const scan = (this.#scan ??= await this.#open());
    for (const { batch } of ranges) this.#throughBatch = Math.max(this.#throughBatch, batch);
    const by = { writer: this.#name, token: this.#token };
    const mark = rangesMark(by, this.#throughBatch, ranges);
    const offset = await appendMarks(this.#options, this.#partition, [mark]);
    // Nobody has sealed it where nothing stands in between: then there is nothing to read.
    if (!scan.takeNext(mark, offset)) await scan.through(offset);
    const own = scan.state.writers.get(this.#name);
    const isSealed = own?.sealedMs != null && own.sealedAt < offset;
    if (own?.token !== this.#token || isSealed) throw logFenced(this.#name);
  }

  /** Asks to be the one who writes under this name, and reads whether it is. */
  async #open(): Promise<LogScan> {
    this.#partition = partitionOf(this.#name, await this.#partitions());
    const scan = new LogScan(placeOf(this.#options, this.#partition, false));
    await scan.toEnd();
    const isTaken = scan.state.writers.has(this.#name);
    if (isTaken || scan.state.fenced > this.#term) throw logFenced(this.#name);
    const by = { writer: this.#name, term: this.#term, token: this.#token, again: false };
    const offset = await appendMarks(this.#options, this.#partition, [{ kind: 'open', ...by }]);
    await scan.through(offset);
    if (scan.state.writers.get(this.#name)?.token !== this.#token) throw logFenced(this.#name);
    return scan;
  }
}

function markOf(writer: string, { token, term, sealedMs }: LogWriterState): LogMark {
  if (sealedMs !== null || token === null) return { kind: 'seal', writer, atMs: sealedMs ?? 0 };
  return { kind: 'open', writer, term, token, again: true };
}

function placeOf(
  { client, topic, owner, platform }: KafkaRangeLogOptions,
  partition: number,
  keepsRanges: boolean,
): LogPlace {
  return { client, topic, partition, owner, codecs: platform.codecs, keepsRanges };
}

/** Durable when it resolves, with the offset of the last one. A repetition does no harm. */
async function appendMarks(
  { client, topic, owner, platform }: KafkaRangeLogOptions,
  partition: number,
  marks: readonly LogMark[],
): Promise<number> {
  const nowMs = platform.nowMs();
  const buffer = new RecordBuffer(partition);
  for (const mark of marks) {
    const value = onlyText(encodeMark(owner, mark));
    buffer.put(0, { key: null, value, headers: null }, nowMs);
  }
  const batch = buffer.finish('none', platform.codecs);
  const records = sealed(batch, noProducer, platform.codecs);
  const at = { topic, partition };
  const { offset } = await client.askLeader(`append to the range log in the topic "${topic}"`, at, {
    ask: ({ broker }) =>
      client.wire.produce(broker, {
        transactionalId: null,
        acks: -1,
        timeoutMs: produceTimeoutMs,
        partitions: [{ ...at, records }],
      }),
  });
  return offset + marks.length - 1;
}

/** The broker takes a repetition for something new. */
const noProducer: BatchSender = {
  producerId: -1,
  epoch: -1,
  sequence: -1,
  transactional: false,
};

function partitionOf(writer: string, count: number): number {
  let hash = 0;
  for (let index = 0; index < writer.length; index++) {
    hash = (hash * 31 + writer.charCodeAt(index)) >>> 0;
  }
  return hash % count;
}
