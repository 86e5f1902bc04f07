// Rows into a Kafka topic, exactly once: the rows of a micro-batch and its ledger entry are one
// transaction. Without node: the wire to the cluster comes in with the platform.

import { StreamError } from '../../base/stream-error.ts';
import type { KafkaPlatform, NewTopic, TopicMetadata } from '../../ports/kafka-wire.ts';
import type { Sink, SinkContext, SinkWriter } from '../../ports/sink.ts';
import type { TypedSink } from '../../ports/typed.ts';
import { awaitedTopic, knownLedger, openLedgerTopic } from './ledger-topic.ts';
import { describeBrokers, patienceMsDefault, resolveAddress } from './kafka-address.ts';
import type { KafkaAddress } from '../../ports/kafka-address.ts';
import { KafkaClient } from './kafka-client.ts';
import { RepeatingWriter } from './repeating-writer.ts';
import { LedgerMarks } from './ledger-marks.ts';
import { ledgerTopic } from './sink-ledger.ts';
import { keyColumns, RecordEncoder } from './sink-records.ts';
import type { RecordOptions } from './sink-records.ts';
import { TransactionWriter } from './transaction-writer.ts';
import type { WriterOutput, WriterParts } from './transaction-writer.ts';
import { KafkaProducer } from './kafka-producer.ts';

export type KafkaSinkOptions = KafkaAddress &
  RecordOptions & {
    /**
     * `exactly-once`, the default: a transaction for each micro-batch with rows; readers set
     * isolation.level to read_committed. `at-least-once`: no transactions and no ledger; a lost
     * answer repeats nothing, but a run that resumes, and a sink partition that moves to another
     * worker, repeat the micro-batches since the last checkpoint.
     */
    readonly guarantee?: 'exactly-once' | 'at-least-once';
    /** Makes the topic if there is none. Default: there must be one. */
    readonly create?: {
      readonly partitions: number;
      /** Default: the brokers'. */
      readonly replication?: number;
      readonly configs?: Readonly<Record<string, string>>;
    };
    /**
     * After so long the cluster aborts the transaction of a writer that is gone, which until then
     * holds up readers, unless the run comes back before, ms. Default 60,000.
     */
    readonly transactionTimeoutMs?: number;
    /**
     * A micro-batch whose rows are one record batch of one partition is appended without a
     * transaction, with a header `mizzle-commit` in its first record, and visible at once: some
     * 10 ms earlier. So it is where the topic has one partition, or up to 64 and rows have neither
     * `key` nor `partitionBy`, unless the topic is compacted. Default true; false: transactions
     * for all.
     */
    readonly onePhase?: boolean;
    /** A compacted topic that is made if it is not there. Default: `<topic>.mizzle-ledger`. */
    readonly ledgerTopic?: string;
  };

const transactionTimeoutMsDefault = 60_000;
/** Who opens a sink partition fences all partitions of the topic, and may have to read in each. */
const onePhasePartitionsMax = 64;

export function makeKafkaSink<Row = unknown>(
  options: KafkaSinkOptions,
  platform: KafkaPlatform,
): TypedSink<Row> {
  return new KafkaSink(options, platform);
}

export class KafkaSink implements Sink {
  readonly kind = 'kafka';
  readonly description: string;
  readonly location = 'worker';
  readonly partitions: 1 | null = null;
  readonly #options: KafkaSinkOptions;
  readonly #platform: KafkaPlatform;
  readonly #ledgerTopic: string;

  constructor(options: KafkaSinkOptions, platform: KafkaPlatform) {
    const { topic, key, create, batchBytesMax = 1, ledgerTopic: ledger } = options;
    if (topic === '') refuse('the topic has no name', 'give its name');
    if (typeof key === 'object' && key.length === 0)
      refuse('the key has no columns', 'leave it out');
    if (create !== undefined && !(create.partitions >= 1)) {
      refuse(`the topic is to have ${create.partitions} partitions`, 'give 1 or more');
    }
    if (!(batchBytesMax >= 1)) refuse(`batchBytesMax is ${batchBytesMax}`, 'give a size in bytes');
    if (ledger === topic) refuse('the ledger is the topic itself', 'give it a topic of its own');
    this.#options = options;
    this.#platform = platform;
    this.#ledgerTopic = ledger ?? `${topic}.mizzle-ledger`;
    const names = keyColumns(options);
    const how = names.length === 0 ? '' : `, by ${names.join(', ')}`;
    const most = this.#isExact ? '' : ', at least once';
    this.description = `${topic} at ${describeBrokers(options)}${how}${most}`;
  }

  async prepare(context: SinkContext): Promise<void> {
    await this.#encoder(context).prepare();
    const client = this.#connect();
    try {
      const { topic, create } = this.#options;
      if (create === undefined) await client.topic(topic);
      else await made(client, { topic, replication: -1, configs: {}, ...create });
      if (!this.#isExact) return;
      const { run, isNew = false } = context;
      const mustBeThere = run.resumes && !isNew;
      const ledger = ledgerTopic(this.#ledgerTopic);
      const { partitions } = await openLedgerTopic(client, ledger, { topic, mustBeThere });
      const marks = this.#marks(client, partitions.length);
      for (const history of context.run.keeps ?? []) {
        const former = { ...context, run: { ...run, history } };
        await this.#close(former, client, marks);
      }
      if (mustBeThere) await marks.goOn(context);
      else await marks.begin(context);
    } finally {
      await client.close();
    }
  }

  async open(partition: number, context: SinkContext): Promise<SinkWriter> {
    const encoder = this.#encoder(context);
    await encoder.prepare();
    const client = this.#connect();
    try {
      const found = await client.topic(this.#options.topic);
      const parts = { encoder, partitions: found.partitions.length };
      if (!this.#isExact) {
        const writer = new RepeatingWriter({
          ...this.#parts(partition, context, client),
          ...parts,
        });
        await writer.start();
        return writer;
      }
      const writer = await this.#writer(partition, context, client);
      await writer.open(parts, { appends: await this.#appends(client, parts) });
      return writer;
    } catch (error) {
      await client.close();
      throw error;
    }
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  /**
   * Commits in one phase are found again by what the topic holds, so it must hold it; where nobody
   * may know, it is taken for compacted.
   */
  async #appends(client: KafkaClient, { encoder, partitions }: WriterOutput): Promise<boolean> {
    const { onePhase = true, topic } = this.#options;
    if (!onePhase || partitions > onePhasePartitionsMax) return false;
    if (!encoder.staysTogether(partitions)) return false;
    const policy = await client.topicConfig(topic, 'cleanup.policy');
    return policy !== null && !policy.split(',').includes('compact');
  }

  get #isExact(): boolean {
    return this.#options.guarantee !== 'at-least-once';
  }

  /**
   * Closes a history: first the marks, which keep out writers that have not opened yet, then the
   * sink partitions that somebody has opened. Who opened in between has its entry behind the mark,
   * and is found here, or before it, and finds the mark.
   */
  async #close(context: SinkContext, client: KafkaClient, marks: LedgerMarks): Promise<void> {
    await marks.close(context);
    for (const partition of await marks.sinkPartitions(context)) {
      const writer = await this.#writer(partition, context, client);
      await writer.closeHistory();
    }
  }

  #marks(client: KafkaClient, partitions: number): LedgerMarks {
    const { topic } = this.#options;
    const producer = this.#producer(client, null);
    const platform = this.#platform;
    return new LedgerMarks({
      client,
      platform,
      producer,
      topic,
      ledger: this.#ledgerTopic,
      partitions,
    });
  }

  async #writer(
    partition: number,
    context: SinkContext,
    client: KafkaClient,
  ): Promise<TransactionWriter> {
    const ledger = this.#ledgerTopic;
    const found = await knownLedger(client, { ledger, topic: this.#options.topic });
    return new TransactionWriter(this.#parts(partition, context, client), found);
  }

  #parts(partition: number, context: SinkContext, client: KafkaClient): WriterParts {
    const id = [this.#ledgerTopic, context.run.pipeline, context.name, partition];
    // The history is part of it: histories have no order, so of two that run at once neither is
    // the newer one, and they must not fence each other in turns.
    const transactionalId = `mizzle-${[...id, context.run.history].join('-')}`;
    return {
      client,
      platform: this.#platform,
      producer: this.#producer(client, this.#isExact ? transactionalId : null),
      topic: this.#options.topic,
      partition,
      context,
    };
  }

  #producer(client: KafkaClient, transactionalId: string | null): KafkaProducer {
    const { transactionTimeoutMs = transactionTimeoutMsDefault } = this.#options;
    const { codecs } = this.#platform;
    const names = keyColumns(this.#options);
    const origin = names.length === 0 ? 'without key' : `with the key ${names.join(', ')}`;
    const nowMs = (): number => this.#platform.nowMs();
    const options = { client, codecs, transactionalId, transactionTimeoutMs, origin, nowMs };
    return new KafkaProducer(options);
  }

  #encoder({ schema }: SinkContext): RecordEncoder {
    return new RecordEncoder(schema, this.#options, this.#platform.codecs);
  }

  /**
   * Each writer has connections of its own: a broker serves a connection one request at a time, and
   * commits of several sink partitions would wait for each other's followers.
   */
  #connect(): KafkaClient {
    const platform = this.#platform;
    const { patienceMs = patienceMsDefault } = this.#options;
    const address = resolveAddress(this.#options, platform);
    return new KafkaClient(platform.open(address), { clock: platform, patienceMs });
  }
}

/** The topic, made if need be. */
async function made(client: KafkaClient, topic: NewTopic): Promise<TopicMetadata> {
  const found = await client.findTopic(topic.topic);
  if (found !== null) return found;
  await client.createTopic(topic);
  return awaitedTopic(client, topic.topic);
}

function refuse(what: string, hint: string): never {
  const message = `could not set up "kafka": ${what}`;
  throw new StreamError({ code: 'option-invalid', message, hint, fields: { sink: 'kafka' } });
}
