// The writer of one sink partition: a transaction for each micro-batch with rows. Kafka lets the
// last comer win, but here who wins is a matter of (term, incarnation): so who takes a new epoch
// looks into the ledger then, and yields to a newer writer, who takes the next epoch and goes on.
//
// A micro-batch that is one record batch needs no transaction: the broker appends that as a whole
// or not at all, and shows it at once. It carries its entry of the ledger itself, in a header; the
// ledger says from where on to look for such, and is told of them later. A coordinator does not
// take part, so partitions themselves must know who is fenced: who opens ends a transaction in all
// of them, and its markers tell them. [docs/decisions/0015-commits-in-one-phase.md]

import { assert } from '../../base/assert.ts';
import { StreamError } from '../../base/stream-error.ts';
import { WireFailure } from '../../ports/kafka-wire.ts';
import type { KafkaPlatform, TopicMetadata, TopicPartition } from '../../ports/kafka-wire.ts';
import type { SinkContext, SinkOutput, SinkWriter } from '../../ports/sink.ts';
import { fenced, isNewer } from '../fenced.ts';
import { commitHeader, commitOwner } from './commit-header.ts';
import { scanCommits } from './commit-scan.ts';
import type { KafkaClient } from './kafka-client.ts';
import { isWireFailure } from './kafka-errors.ts';
import { ledgerMissing } from './ledger-topic.ts';
import type { KafkaProducer, SendResult, Write } from './kafka-producer.ts';
import { endOfOwn } from './own-topic.ts';
import type { RecordBatch } from './record-buffer.ts';
import { SinkLedger, entryBatch, keyText, ledgerKeyOf, ledgerPartitionOf } from './sink-ledger.ts';
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

/** The ledger is told of what was committed in one phase after this time, ms. */
const tellAfterMs = 1_000;
/** A writer that closes tries for so long to tell the ledger, ms. */
const closingPatienceMs = 1_000;
/** Markers take milliseconds, or an election. */
const shownMsMax = 5_000;
const shownPauseMs = 2;

export class TransactionWriter implements SinkWriter {
  readonly #parts: WriterParts;
  readonly #key: LedgerKey;
  readonly #ledger: SinkLedger;
  readonly #ledgerAt: TopicPartition & { readonly topicId: string };
  readonly #token: string;
  readonly #owner: string;
  #output: WriterOutput | null = null;
  /** Micro-batches that are one record batch are committed in one phase. */
  #appends = false;
  /** Some may have been, by this writer or one before it; from where on, by partition. */
  #from: number[] | null = null;
  /** False: only a new epoch and a look into the ledger tell how the last commit ended. */
  #isSettled = false;
  /** Readers may not see yet how a transaction ended. */
  #mayLag = false;
  /** A transaction may have been committed or not: an older entry must not come behind its own. */
  #isInDoubt = false;
  /** Rows, or a word to the ledger, that were sent outside of a transaction may still arrive. */
  #mayRowsArrive = true;
  #mayWordArrive = false;
  #isClosed = false;
  #committedThrough = -1;
  #through = -1;
  /** The ledger has been told so far. */
  #told = -1;
  #isTelling = false;
  /** What is written to the ledger waits for its turn. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: WriterParts, { topic, topicId, partitions }: TopicMetadata) {
    const { client, platform, partition, context } = parts;
    this.#parts = parts;
    this.#key = ledgerKeyOf(context, partition);
    this.#owner = commitOwner(keyText(this.#key));
    const at = ledgerPartitionOf(this.#key, partitions.length);
    this.#ledgerAt = { topic, topicId, partition: at };
    this.#ledger = new SinkLedger(client, platform.codecs, this.#ledgerAt);
    this.#token = platform.newToken();
  }

  get committedThrough(): number {
    return this.#committedThrough;
  }

  /** Takes the sink partition over, or rejects with `fenced`. */
  async open(output: WriterOutput, { appends }: { readonly appends: boolean }): Promise<void> {
    this.#output = output;
    this.#appends = appends;
    this.#committedThrough = await this.#take('opened');
    this.#through = this.#committedThrough;
    this.#told = this.#committedThrough;
  }

  /** Ends the sink partition for all writers of the history that are not newer. */
  async closeHistory(): Promise<void> {
    await this.#take('closed');
  }

  /**
   * Resolves when the micro-batch is visible or, in a transaction, when that is decided for good.
   * Readers see it some milliseconds later then, when the cluster has told the partitions; only
   * `close` and whoever opens next wait for that.
   */
  async commit({ batch, rows }: SinkOutput): Promise<void> {
    assert(batch > this.#through, 'micro-batches are committed in order, each once');
    // Without rows there is nothing to remember.
    if (rows.rowCount === 0) return;
    const { client, topic, partition, platform } = this.#parts;
    const { encoder, partitions } = this.#output!;
    const nowMs = platform.nowMs();
    const mark = this.#appends ? commitHeader({ owner: this.#owner, batch }) : null;
    const records = encoder.encode(rows, { partitions, first: partition + batch, nowMs, mark });
    const what = `commit micro-batch ${batch} to the topic "${topic}"`;
    const attempt = { what, at: client.wire.description };
    await this.#guarded(() =>
      client.retried(attempt, async () => {
        const isUnsure = !this.#isSettled || this.#isFenceDue;
        if (isUnsure && (await this.#settle(batch))) return { done: null };
        const result = await this.#write(batch, records);
        if (result === 'replaced') await this.#yield();
        return result === 'done' ? { done: null } : { again: this.#cutOff(result) };
      }),
    );
    this.#tellLater();
  }

  /** Whoever reads after this sees what was committed, and whoever opens finds it at once. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { client } = this.#parts;
    const isClean = this.#isSettled && !this.#isFenceDue;
    if (isClean && this.#from !== null) {
      client.hurry(closingPatienceMs);
      await this.#tell({ isLast: true });
    }
    if (isClean && this.#mayLag) await this.#shown();
    await client.close();
  }

  /** What is decided appears in any case: a cluster that fails now is not waited for for ever. */
  async #shown(): Promise<void> {
    const { producer, platform } = this.#parts;
    const endMs = platform.nowMs() + shownMsMax;
    while (platform.nowMs() < endMs) {
      const isShown = await producer.isShown().catch((error: unknown) => {
        if (isWireFailure(error) || error instanceof StreamError) return false;
        throw error;
      });
      if (isShown) return;
      await platform.sleep(shownPauseMs);
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
        for (;;) {
          await producer.start();
          const before = await this.#ledger.newest(this.#key, isOver);
          this.#check(before, isClosing);
          const { entry } = before;
          const batch = entry?.batch ?? -1;
          const isMine = entry?.token === this.#token;
          if (this.#appends || entry?.from !== undefined) {
            if (isMine && !this.#isFenceDue) {
              const newest = isClosing ? { batch, from: null } : await this.#newest(entry);
              this.#check(await this.#ledger.since(this.#key, before.end), isClosing);
              this.#from = newest.from;
              this.#isSettled = true;
              return { done: newest.batch };
            }
            // Behind it comes another look, at what was written before it and who was there.
            const result = await this.#fence(entry, { batch, state });
            if (result === 'done') continue;
            return { again: this.#cutOff(result) };
          }
          this.#mayRowsArrive = false;
          if (!isMine) {
            const result = await this.#transact([this.#entry({ batch, state })], batch);
            if (result !== 'done') return { again: this.#cutOff(result) };
            // The history may have been closed in between.
            this.#check(await this.#ledger.since(this.#key, before.end), isClosing);
          }
          this.#isSettled = true;
          return { done: batch };
        }
      }),
    );
  }

  /** Whether the micro-batch was committed: what was under way is ended first, by a new epoch. */
  async #settle(batch: number): Promise<boolean> {
    for (;;) {
      await this.#parts.producer.start();
      const { entry } = await this.#ledger.newest(this.#key, () => true);
      this.#checkOwn(entry);
      if (this.#isFenceDue) {
        const result = await this.#fence(entry, { batch: entry.batch, state: 'committed' });
        if (result === 'done') continue;
        throw this.#cutOff(result);
      }
      const found = await this.#newest(entry);
      this.#isSettled = true;
      this.#isInDoubt = false;
      const isThere = found.batch === batch;
      if (!isThere && found.batch !== this.#through) {
        throw this.#changed(`it is at micro-batch ${found.batch} instead of ${this.#through}`);
      }
      // Both at once: the ledger is told of both.
      this.#through = found.batch;
      this.#from = found.from;
      return isThere;
    }
  }

  get #isFenceDue(): boolean {
    return this.#mayRowsArrive || this.#mayWordArrive;
  }

  /**
   * Keeps out of all partitions, the ledger's too, what is still under way. Once it is done and
   * the producer has started again, nothing of it arrives any more.
   */
  async #fence(
    entry: LedgerEntry | null,
    says: Pick<LedgerEntry, 'batch' | 'state'>,
  ): Promise<SendResult> {
    const { client, topic, producer } = this.#parts;
    const { partitions } = await client.topic(topic);
    const places = partitions.map(({ partition }) => ({ topic, partition }));
    // Nobody has written outside of transactions to a partition that no entry speaks of.
    const from = await Promise.all(
      places.map((at) => entry?.from?.[at.partition] ?? endOfOwn(client, at)),
    );
    return this.#inTurn(async () => {
      this.#isSettled = false;
      const result = await producer.fence([this.#entry({ ...says, from })], places);
      if (result === 'done') {
        this.#mayRowsArrive = false;
        this.#mayWordArrive = false;
      }
      return result;
    });
  }

  /** The newest micro-batch that is committed, by an entry of the ledger and what came since. */
  async #newest(
    entry: LedgerEntry,
  ): Promise<{ readonly batch: number; readonly from: number[] | null }> {
    if (entry.from === undefined) return { batch: entry.batch, from: null };
    const { client, topic, platform } = this.#parts;
    const owner = this.#owner;
    const scans = await Promise.all(
      entry.from.map(async (from, partition) => {
        const at = { topic, partition };
        const found = await scanCommits({ client, codecs: platform.codecs }, at, { owner, from });
        if (found.hasGap) throw this.#outputGone(partition, from);
        return found;
      }),
    );
    const batch = Math.max(entry.batch, ...scans.map((found) => found.batch));
    return { batch, from: scans.map(({ end }) => end) };
  }

  async #write(batch: number, records: readonly RecordBatch[]): Promise<SendResult> {
    const { topic, producer } = this.#parts;
    const writes = records.map((record) => ({ topic, batch: record }));
    const [only] = writes;
    const isOne = writes.length === 1 && producer.mayAppend;
    if (this.#appends && isOne) return this.#append(batch, only!);
    const from = this.#from === null ? {} : { from: this.#from };
    const entry = this.#entry({ batch, state: 'committed', ...from });
    const result = await this.#transact([...writes, entry], batch);
    this.#mayLag = true;
    return result;
  }

  async #append(batch: number, write: Write): Promise<SendResult> {
    this.#isSettled = false;
    this.#mayRowsArrive = true;
    const { result, offset } = await this.#parts.producer.append(write);
    if (result !== 'done') return result;
    this.#isSettled = true;
    this.#mayRowsArrive = false;
    this.#through = batch;
    const { partition, records } = write.batch;
    if (offset >= 0) this.#from![partition] = offset + records;
    return result;
  }

  /** `batch`: what the ledger says once it is done. */
  async #transact(writes: readonly Write[], batch: number): Promise<SendResult> {
    return this.#inTurn(async () => {
      this.#isSettled = false;
      // Nor may one that is under way already.
      if (this.#mayWordArrive) return 'unsure';
      this.#isInDoubt = true;
      const result = await this.#parts.producer.transact(writes);
      this.#isSettled = result === 'done';
      this.#isInDoubt = !this.#isSettled;
      // Whose turn is next must not say less.
      if (this.#isSettled) {
        this.#through = batch;
        this.#told = batch;
      }
      return result;
    });
  }

  /** So that the next writer need not look far, and retention takes away nothing it needs. */
  #tellLater(): void {
    if (this.#isTelling || this.#from === null) return;
    this.#isTelling = true;
    void this.#keepTelling().finally(() => (this.#isTelling = false));
  }

  async #keepTelling(): Promise<void> {
    while (this.#told < this.#through) {
      await this.#parts.platform.sleep(tellAfterMs);
      if (this.#isClosed) return;
      // Otherwise the next commit sees to it.
      if (!(await this.#tell({ isLast: false }))) return;
    }
  }

  /** Whoever reads the ledger before it has come finds the micro-batches themselves. */
  #tell({ isLast }: { readonly isLast: boolean }): Promise<boolean> {
    return this.#inTurn(async () => {
      const batch = this.#through;
      if (this.#isInDoubt || this.#mayWordArrive) return false;
      if (batch <= this.#told && !isLast) return true;
      const from = isLast ? {} : { from: this.#from! };
      const write = this.#entry({ batch, state: 'committed', ...from });
      const result = await this.#parts.producer.append(write).then(
        (appended) => appended.result,
        () => 'unsure' as const,
      );
      if (result === 'done') this.#told = batch;
      else this.#mayWordArrive = true;
      return result === 'done';
    });
  }

  #inTurn<Result>(action: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(action, action);
    this.#turn = result;
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

  #entry({ batch, state, from }: Pick<LedgerEntry, 'batch' | 'state' | 'from'>): Write {
    const { platform, context } = this.#parts;
    const { term, incarnation } = context.run;
    const { topic, topicId, partition } = this.#ledgerAt;
    const common = { batch, term, incarnation, token: this.#token, state };
    const entry: LedgerEntry = from === undefined ? common : { ...common, from };
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

  #outputGone(partition: number, offset: number): StreamError {
    const { topic, context } = this.#parts;
    return new StreamError({
      code: 'output-gone',
      message:
        `could not go on writing to "${topic}": its records behind offset ${offset} of partition ` +
        `${partition}, which tell what was committed last, have been deleted`,
      hint:
        'a topic must keep its records for longer than a job is down after a crash; ' +
        '`output: "keep"` from a checkpoint begins a new history behind what is there',
      fields: { topic, partition, offset, sink: context.name },
    });
  }

  #cutOff(result: SendResult): WireFailure {
    const why = result === 'replaced' ? 'another one took an epoch' : 'nobody knows how it ended';
    const { reason } = this.#parts.producer;
    return new WireFailure(`a transaction was cut off, ${why}: ${reason}`, { unclear: true });
  }
}
