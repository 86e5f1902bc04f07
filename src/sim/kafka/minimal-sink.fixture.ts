// The least that writes to Kafka exactly once: it proves that the simulated cluster can be lived
// with, and its known bugs that the judges find them. A transaction holds one micro-batch and an
// entry in the ledger, a topic with a partition for each sink partition.

import { batchToRows } from '../../data/columnar/rows.ts';
import { kafkaErrors } from '../../connectors/kafka/error-codes.ts';
import { fenced, isNewer } from '../../connectors/fenced.ts';
import { KafkaClient } from '../../connectors/kafka/kafka-client.ts';
import { batchHeadAt } from '../../connectors/kafka/record-batch.ts';
import { isMisdirected, isTransient } from '../../connectors/kafka/kafka-errors.ts';
import type { KafkaConnection, KafkaPlatform } from '../../ports/kafka-wire.ts';
import { WireFailure } from '../../ports/kafka-wire.ts';
import type { Sink, SinkContext, SinkOutput, SinkRun, SinkWriter } from '../../ports/sink.ts';
import { dataBatch, recordsOf } from './kafka-run.fixture.ts';

export const kafkaConnection: KafkaConnection = {
  brokers: ['simulated:9092'],
  clientId: 'mizzle',
  tls: false,
  sasl: null,
  connectTimeoutMs: 5_000,
  requestTimeoutMs: 30_000,
};

export const ledgerTopic = 'ledger';

export type MinimalSinkBug =
  /** It takes an end of which nobody knows for done, and goes on with the same identity. */
  | 'keeps-identity'
  /** It takes an end of which nobody knows for one that has failed, without looking. */
  | 'does-not-look'
  /** Whoever opens later wins, whatever the order. */
  | 'last-comer-wins'
  /** It reads the ledger first and fences then. */
  | 'reads-before-fencing'
  /** The entry in the ledger is a transaction of its own. */
  | 'ledger-apart';

export type MinimalSinkOptions = {
  readonly topic: string;
  readonly partitionCount: number;
  readonly bug?: MinimalSinkBug | undefined;
};

type Claim = Pick<SinkRun, 'term' | 'incarnation'> & { readonly token: string };

/** The outcome is unknown, or nothing came of it: what counts is in the ledger. */
class Unclear extends Error {}

export function makeMinimalSink(options: MinimalSinkOptions, platform: KafkaPlatform): Sink {
  return {
    kind: 'minimal',
    description: options.topic,
    partitions: null,
    location: 'worker',
    async prepare() {},
    async open(partition: number, { run }: SinkContext): Promise<SinkWriter> {
      const client = new KafkaClient(platform.open(kafkaConnection), {
        clock: platform,
        patienceMs: 60_000,
      });
      const writer = new MinimalWriter(client, platform, { ...options, partition, run });
      await writer.acquire();
      const { through } = writer;
      return {
        committedThrough: through,
        commit: (output) => writer.commit(output, batchToRows),
        close: () => client.close(),
      };
    },
    async finish() {},
  };
}

class MinimalWriter {
  through = -1;
  readonly #client: KafkaClient;
  readonly #platform: KafkaPlatform;
  readonly #options: MinimalSinkOptions & { readonly partition: number; readonly run: SinkRun };
  readonly #claim: Claim;
  readonly #id: string;
  #identity = { producerId: -1, epoch: -1 };
  readonly #sequences = new Map<string, number>();
  #isVersion2 = false;
  #isAcquired = false;
  #isEnding = false;

  constructor(
    client: KafkaClient,
    platform: KafkaPlatform,
    options: MinimalSinkOptions & { readonly partition: number; readonly run: SinkRun },
  ) {
    this.#client = client;
    this.#platform = platform;
    this.#options = options;
    const { term, incarnation, history } = options.run;
    this.#claim = { term, incarnation, token: platform.newToken() };
    this.#id = `${history}-${options.partition}`;
  }

  /** Fences, reads the ledger and says there who is here, until all three hold. */
  async acquire(): Promise<void> {
    const { bug, partition, topic } = this.#options;
    const features = await this.#again(async () => {
      return { ...(await this.#client.wire.features()), error: 0 };
    });
    this.#isVersion2 = features.transactionVersion >= 2;
    for (let pauseMs = 5; ; pauseMs = Math.min(2 * pauseMs, 500)) {
      if (bug === 'reads-before-fencing') await this.#readLedger();
      await this.#init();
      const claimed = bug === 'reads-before-fencing' ? undefined : await this.#readLedger();
      const isMine = claimed?.token === this.#claim.token;
      if (claimed !== undefined && !isMine && bug !== 'last-comer-wins') {
        if (isNewer(claimed, this.#claim)) throw fenced(topic, partition);
        // Of an equal pair the later one stays: the former has claimed already.
        if (this.#isAcquired && !isNewer(this.#claim, claimed)) throw fenced(topic, partition);
      }
      if (isMine) return void (this.#isAcquired = true);
      try {
        await this.#write(ledgerTopic, partition, [JSON.stringify(this.#claim)]);
        await this.#end(true);
        this.#isAcquired = true;
        return;
      } catch (error) {
        if (!(error instanceof Unclear)) throw error;
      }
      // Two that fence each other in step would never get further.
      await this.#platform.sleep(pauseMs * (0.5 + (this.#claim.token.charCodeAt(9) % 16) / 16));
    }
  }

  async commit(
    output: SinkOutput,
    rowsOf: (rows: SinkOutput['rows']) => readonly unknown[],
  ): Promise<void> {
    const { batch } = output;
    const { bug, topic, partition, partitionCount } = this.#options;
    const entry = JSON.stringify({ batch });
    const parts = Array.from({ length: partitionCount }, (): string[] => []);
    for (const [index, row] of rowsOf(output.rows).entries()) {
      parts[index % partitionCount]!.push(JSON.stringify(row));
    }
    for (;;) {
      try {
        this.#isEnding = false;
        for (const [index, values] of parts.entries()) {
          if (values.length > 0) await this.#write(topic, index, values);
        }
        if (bug === 'ledger-apart') await this.#end(true);
        await this.#write(ledgerTopic, partition, [entry]);
        await this.#end(true);
        this.through = batch;
        return;
      } catch (error) {
        if (!(error instanceof Unclear)) throw error;
        if (bug === 'keeps-identity' && this.#isEnding) {
          // It takes it for done, and its late request ends the next transaction.
          this.through = batch;
          return;
        }
        await this.acquire();
        if (this.through >= batch && bug !== 'does-not-look') return;
      }
    }
  }

  async #init(): Promise<void> {
    this.#sequences.clear();
    const asked = { transactionalId: this.#id, timeoutMs: 20_000, producerId: -1, epoch: -1 };
    const answer = await this.#again(async () => {
      return this.#client.wire.initProducerId(await this.#coordinator(), asked);
    });
    this.#identity = { producerId: answer.producerId, epoch: answer.epoch };
  }

  async #write(topic: string, partition: number, values: readonly string[]): Promise<void> {
    const at = { topic, partition };
    const { producerId, epoch } = this.#identity;
    if (!this.#isVersion2) {
      const asked = { transactionalId: this.#id, producerId, epoch, partitions: [at] };
      await this.#once(async () => {
        const coordinator = await this.#coordinator();
        return (await this.#client.wire.addPartitionsToTransaction(coordinator, asked))[0]!;
      });
    }
    const place = `${topic}/${partition}`;
    const sequence = this.#sequences.get(place) ?? 0;
    const records = dataBatch({
      producerId,
      epoch,
      sequence,
      records: values.map((value) => ({ value })),
    });
    await this.#once(async () => {
      const { broker } = await this.#client.leader(at);
      const joins = this.#isVersion2;
      const request = { transactionalId: this.#id, joins, acks: -1 as const, timeoutMs: 10_000 };
      const partitions = [{ ...at, records }];
      return (await this.#client.wire.produce(broker, { ...request, partitions }))[0]!;
    });
    this.#sequences.set(place, sequence + values.length);
  }

  async #end(committed: boolean): Promise<void> {
    this.#isEnding = true;
    const bumps = this.#isVersion2;
    const asked = { transactionalId: this.#id, ...this.#identity, committed, bumps };
    const answer = await this.#once(async () => {
      return this.#client.wire.endTransaction(await this.#coordinator(), asked);
    });
    if (!bumps) return;
    this.#identity = { producerId: answer.producerId, epoch: answer.epoch };
    this.#sequences.clear();
  }

  /** Reads all that is decided; gives the last claim. */
  async #readLedger(): Promise<Claim | undefined> {
    const at = { topic: ledgerTopic, partition: this.#options.partition };
    let claim: Claim | undefined;
    const end = await this.#again(async () => {
      const { broker } = await this.#client.leader(at);
      const asked = [{ ...at, timestamp: -1 }];
      return (await this.#client.wire.listOffsets(broker, 'read-committed', asked))[0]!;
    });
    for (let offset = 0; offset < end.offset;) {
      const fetched = await this.#again(async () => {
        const { broker, epoch, topicId } = await this.#client.leader(at);
        const asked = { ...at, topicId, leaderEpoch: epoch, offset, bytesMax: 1e9 };
        const limits = { waitMs: 5, bytesMin: 1, bytesMax: 1e9 };
        const request = { ...limits, isolation: 'read-committed' as const, partitions: [asked] };
        return (await this.#client.wire.fetchRecords(broker, request))[0]!;
      });
      const coming = [...fetched.aborted];
      const aborting = new Set<number>();
      for (const [base, batch] of batchesOf(fetched.records)) {
        while (coming.length > 0 && coming[0]!.firstOffset <= base) {
          aborting.add(coming.shift()!.producerId);
        }
        if (batch.last < offset) continue;
        offset = batch.last + 1;
        if (batch.control) aborting.delete(batch.producerId);
        if (batch.control || aborting.has(batch.producerId)) continue;
        for (const { value } of recordsOf([batch.bytes])) {
          const entry = JSON.parse(value!) as Partial<Claim> & { readonly batch?: number };
          if (entry.batch === undefined) claim = entry as Claim;
          else this.through = Math.max(this.through, entry.batch);
        }
      }
    }
    return claim;
  }

  async #coordinator(): Promise<number> {
    return this.#client.coordinator({ kind: 'transaction', key: this.#id });
  }

  #forget(): void {
    this.#client.forgetCoordinator({ kind: 'transaction', key: this.#id });
    this.#client.forgetLeaders(this.#options.topic);
    this.#client.forgetLeaders(ledgerTopic);
  }

  /** For what may be done twice. */
  async #again<Answer extends { readonly error: number }>(
    action: () => Promise<Answer>,
  ): Promise<Answer> {
    const attempt = { what: 'write', at: 'simulated' };
    return this.#client.retried(attempt, async () => {
      const answer = await action().catch((error: unknown) => {
        if (error instanceof WireFailure) this.#forget();
        throw error;
      });
      const { error } = answer;
      if (error === 0) return { done: answer };
      return { again: error, forget: () => this.#forget() };
    });
  }

  /** For what may not: anything but an answer that says yes, or not yet, is unclear. */
  async #once<Answer extends { readonly error: number }>(
    action: () => Promise<Answer>,
  ): Promise<Answer> {
    for (;;) {
      const answer = await action().catch((error: unknown) => {
        this.#forget();
        if (error instanceof WireFailure) throw new Unclear(error.message);
        throw error;
      });
      if (answer.error === 0) return answer;
      if (isMisdirected(answer.error) || isTransient(answer.error)) this.#forget();
      if (answer.error !== kafkaErrors.concurrentTransactions) throw new Unclear();
      await this.#platform.sleep(2);
    }
  }
}

type FetchedBatch = {
  readonly last: number;
  readonly control: boolean;
  readonly producerId: number;
  readonly bytes: Uint8Array;
};

function batchesOf(records: Uint8Array): readonly (readonly [number, FetchedBatch])[] {
  const batches: [number, FetchedBatch][] = [];
  for (let at = 0; ;) {
    const head = batchHeadAt(records, at);
    if (head === null) return batches;
    const bytes = records.subarray(at, at + head.bytes);
    const { baseOffset, lastOffsetDelta, control, producerId } = head;
    batches.push([baseOffset, { last: baseOffset + lastOffsetDelta, control, producerId, bytes }]);
    at += head.bytes;
  }
}
