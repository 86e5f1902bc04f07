// The writer of one sink partition: a transaction for each micro-batch with rows. Kafka lets the
// last comer win, but here who wins is a matter of (term, incarnation): so who takes a new epoch
// looks into the ledger then, and yields to a newer writer, who takes the next epoch and goes on.

import { assert } from '../../base/assert.ts';
import { StreamError } from '../../base/stream-error.ts';
import { WireFailure } from '../../ports/kafka-wire.ts';
import type { KafkaPlatform, TopicMetadata, TopicPartition } from '../../ports/kafka-wire.ts';
import type { SinkContext, SinkOutput, SinkWriter } from '../../ports/sink.ts';
import { fenced, isNewer } from '../fenced.ts';
import type { KafkaClient } from './kafka-client.ts';
import { isWireFailure } from './kafka-errors.ts';
import { ledgerMissing } from './ledger-topic.ts';
import type { KafkaProducer, SendResult, Write } from './kafka-producer.ts';
import { SinkLedger, entryBatch, ledgerKeyOf, ledgerPartitionOf } from './sink-ledger.ts';
import type { LedgerEntry, LedgerKey, LedgerView } from './sink-ledger.ts';
import type { RecordEncoder } from './sink-records.ts';

export type WriterParts = {
  /** The writer's own: it closes it. */
  readonly client: KafkaClient;
  readonly platform: KafkaPlatform;
  readonly producer: KafkaProducer;
  readonly topic: string;
  readonly partition: number;
  readonly context: SinkContext;
};

/** How rows become records, and of how many partitions the topic is. */
export type WriterOutput = { readonly encoder: RecordEncoder; readonly partitions: number };

/** Markers take milliseconds, or an election. */
const shownMsMax = 5_000;
const shownPauseMs = 2;

export class TransactionWriter implements SinkWriter {
  readonly #parts: WriterParts;
  readonly #key: LedgerKey;
  readonly #ledger: SinkLedger;
  readonly #ledgerAt: TopicPartition & { readonly topicId: string };
  readonly #token: string;
  #output: WriterOutput | null = null;
  /** False: only a new epoch and a look into the ledger tell how the last transaction ended. */
  #isSettled = false;
  #isClosed = false;
  #committedThrough = -1;
  #through = -1;

  constructor(parts: WriterParts, { topic, topicId, partitions }: TopicMetadata) {
    const { client, platform, partition, context } = parts;
    this.#parts = parts;
    this.#key = ledgerKeyOf(context, partition);
    const at = ledgerPartitionOf(this.#key, partitions.length);
    this.#ledgerAt = { topic, topicId, partition: at };
    this.#ledger = new SinkLedger(client, platform.codecs, this.#ledgerAt);
    this.#token = platform.newToken();
  }

  get committedThrough(): number {
    return this.#committedThrough;
  }

  /** Takes the sink partition over, or rejects with `fenced`. */
  async open(output: WriterOutput): Promise<void> {
    this.#output = output;
    this.#committedThrough = await this.#take('opened');
    this.#through = this.#committedThrough;
  }

  /** Ends the sink partition for all writers of the history that are not newer. */
  async closeHistory(): Promise<void> {
    await this.#take('closed');
  }

  /**
   * Resolves when the transaction is decided for good. Readers see it some milliseconds later, when
   * the cluster has told the partitions; only `close` and whoever opens next wait for that.
   */
  async commit({ batch, rows }: SinkOutput): Promise<void> {
    assert(batch > this.#through, 'micro-batches are committed in order, each once');
    // Without rows there is nothing to remember.
    if (rows.rowCount === 0) return;
    const { client, topic, partition, platform } = this.#parts;
    const { encoder, partitions } = this.#output!;
    const nowMs = platform.nowMs();
    const records = encoder.encode(rows, { partitions, first: partition + batch, nowMs });
    const writes: readonly Write[] = [
      ...records.map((record) => ({ topic, batch: record })),
      this.#entry({ batch, state: 'committed' }),
    ];
    const what = `commit micro-batch ${batch} to the topic "${topic}"`;
    const attempt = { what, at: client.wire.description };
    await this.#guarded(() =>
      client.retried(attempt, async () => {
        if (!this.#isSettled && (await this.#settle(batch))) return { done: null };
        const result = await this.#transact(writes);
        if (result === 'replaced') await this.#yield();
        return result === 'done' ? { done: null } : { again: this.#cutOff(result) };
      }),
    );
    this.#through = batch;
  }

  /** Whoever reads after this sees what was committed. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#isSettled && this.#through > this.#committedThrough) await this.#shown();
    await this.#parts.client.close();
  }

  /** What is decided appears in any case: a cluster that fails now is not waited for for ever. */
  async #shown(): Promise<void> {
    const { client, producer, platform } = this.#parts;
    const endMs = platform.nowMs() + shownMsMax;
    while (platform.nowMs() < endMs) {
      const isShown = await producer.isShown().catch((error: unknown) => {
        if (isWireFailure(error) || error instanceof StreamError) return false;
        throw error;
      });
      if (isShown) return;
      await client.sleep(shownPauseMs);
    }
  }

  async #take(state: 'opened' | 'closed'): Promise<number> {
    const { client, topic, producer } = this.#parts;
    const attempt = {
      what: `open partition ${this.#key.partition} of the sink to the topic "${topic}"`,
      at: client.wire.description,
    };
    const isOver = (entry: LedgerEntry): boolean => entry.state !== 'opened';
    const isClosing = state === 'closed';
    // Who is late anyway had better not disturb the newer one.
    this.#check(await this.#ledger.newest(this.#key, isOver), isClosing);
    return this.#guarded(() =>
      client.retried(attempt, async () => {
        await producer.start();
        const before = await this.#ledger.newest(this.#key, isOver);
        this.#check(before, isClosing);
        const batch = before.entry?.batch ?? -1;
        if (before.entry?.token !== this.#token) {
          const result = await this.#transact([this.#entry({ batch, state })]);
          if (result !== 'done') return { again: this.#cutOff(result) };
          // The history may have been closed in between.
          this.#check(await this.#ledger.since(this.#key, before.end), isClosing);
        }
        this.#isSettled = true;
        return { done: batch };
      }),
    );
  }

  /** Whether the micro-batch was committed: what was open is ended first, by a new epoch. */
  async #settle(batch: number): Promise<boolean> {
    await this.#parts.producer.start();
    const { entry } = await this.#ledger.newest(this.#key, () => true);
    this.#checkOwn(entry);
    this.#isSettled = true;
    if (entry.batch === batch) return true;
    if (entry.batch === this.#through) return false;
    throw this.#changed(`it is at micro-batch ${entry.batch} instead of ${this.#through}`);
  }

  async #transact(writes: readonly Write[]): Promise<SendResult> {
    this.#isSettled = false;
    const result = await this.#parts.producer.transact(writes);
    this.#isSettled = result === 'done';
    return result;
  }

  /** Somebody has taken an epoch: if it is somebody newer, who has said so, there is no need to. */
  async #yield(): Promise<void> {
    const { entry } = await this.#ledger.newest(this.#key, () => true);
    const isOther = entry !== null && entry.token !== this.#token;
    if (isOther && !isNewer(this.#parts.context.run, entry)) throw this.#fenced();
  }

  async #guarded<Result>(action: () => Promise<Result>): Promise<Result> {
    try {
      return await action();
    } catch (error) {
      this.#isSettled = false;
      const isRefused = error instanceof StreamError && error.code !== 'kafka-unreachable';
      if (isRefused) await this.#parts.producer.abandon();
      throw await this.#explained(error);
    }
  }

  /** A topic that is gone is none to be made anew where it is the ledger. */
  async #explained(error: unknown): Promise<unknown> {
    const code = error instanceof StreamError ? error.code : '';
    if (code === 'topic-recreated') return this.#changed('it was deleted and made anew');
    if (code !== 'topic-unknown') return error;
    const { client, topic } = this.#parts;
    const ledger = this.#ledgerAt.topic;
    const found = await client.findTopic(ledger).catch(() => undefined);
    return found === null ? ledgerMissing({ ledger, topic }) : error;
  }

  /** Before and while it opens. */
  #check({ entry, mark }: LedgerView, isClosing: boolean): void {
    const { run } = this.#parts.context;
    if (entry !== null && entry.token !== this.#token) {
      if (isNewer(entry, run)) throw this.#fenced();
      if (entry.state === 'closed' && !isClosing && !isNewer(run, entry)) throw this.#fenced();
    }
    if (mark !== null && (isClosing ? isNewer(mark, run) : !isNewer(run, mark))) {
      throw this.#fenced();
    }
  }

  /** After it has opened, the newest entry is its own, until somebody newer comes. */
  #checkOwn(entry: LedgerEntry | null): asserts entry is LedgerEntry {
    if (entry === null) throw this.#changed('it has no entry any more');
    if (entry.token === this.#token) return;
    if (isNewer(this.#parts.context.run, entry)) throw this.#changed('an older writer is in it');
    throw this.#fenced();
  }

  #entry({ batch, state }: Pick<LedgerEntry, 'batch' | 'state'>): Write {
    const { platform, context } = this.#parts;
    const { term, incarnation } = context.run;
    const { topic, topicId, partition } = this.#ledgerAt;
    const entry: LedgerEntry = { batch, term, incarnation, token: this.#token, state };
    const at = { partition, nowMs: platform.nowMs(), codecs: platform.codecs };
    return { topic, topicId, batch: entryBatch(this.#key, entry, at) };
  }

  #fenced(): StreamError {
    return fenced(this.#parts.topic, this.#parts.partition);
  }

  #changed(how: string): StreamError {
    const { topic, partition } = this.#ledgerAt;
    return new StreamError({
      code: 'ledger-changed',
      message: `could not write to "${this.#parts.topic}": its ledger "${topic}" is wrong, ${how}`,
      hint: 'only the engine may change the ledger, and its cleanup.policy must be compact',
      fields: { topic: this.#parts.topic, ledger: topic, ledgerPartition: partition },
    });
  }

  #cutOff(result: SendResult): WireFailure {
    const why = result === 'replaced' ? 'another one took an epoch' : 'nobody knows how it ended';
    const { reason } = this.#parts.producer;
    return new WireFailure(`a transaction was cut off, ${why}: ${reason}`, { unclear: true });
  }
}
