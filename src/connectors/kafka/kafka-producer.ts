// Sends record batches as one producer: all of a transaction or none of it, or, outside of
// transactions, one after the other without gaps and repetitions. It knows the protocol and
// guesses nothing: where an answer is missing it says so, and `start` is the way on, because a new
// epoch makes void whatever is still under way. That keeps out what Jepsen found: an EndTxn or a
// Produce that arrives late and takes effect in the next transaction.
// [https://jepsen.io/analyses/redpanda-21.10.1, KIP-890]

import type { StreamError } from '../../base/stream-error.ts';
import type {
  KafkaCodecs,
  ProducedPartition,
  ProducerIdentity,
  TopicPartition,
  WireFailure,
} from '../../ports/kafka-wire.ts';
import { kafkaErrorName, kafkaErrors } from './error-codes.ts';
import type { KafkaClient, Outcome } from './kafka-client.ts';
import { isMisdirected, isTransient, isWireFailure, kafkaRefusal } from './kafka-errors.ts';
import type { Attempt } from './kafka-errors.ts';
import { sealed } from './record-buffer.ts';
import type { RecordBatch } from './record-buffer.ts';
import { topicRecreated } from './source-errors.ts';

export type ProducerOptions = {
  readonly client: KafkaClient;
  readonly codecs: KafkaCodecs;
  /** Null: no transactions. */
  readonly transactionalId: string | null;
  /** After so long the cluster aborts a transaction by itself. */
  readonly transactionTimeoutMs: number;
  /** For errors: what the records are made from. */
  readonly origin: string;
  readonly nowMs: () => number;
};

/** `unsure`: it has happened or not, or was aborted. `replaced`: somebody has a newer epoch. */
export type SendResult = 'done' | 'unsure' | 'replaced';

export type Write = {
  readonly topic: string;
  /** Another topic of the same name is refused. Default: it is not. */
  readonly topicId?: string;
  readonly batch: RecordBatch;
};

export type AppendResult = {
  readonly result: SendResult;
  /** Of the first record; -1: unknown. */
  readonly offset: number;
};

/** A request is not to grow over what a broker takes: 100 MB, if nobody has changed it. */
const requestBytesMax = 16 * 1024 * 1024;

const replacedCodes: readonly number[] = [
  kafkaErrors.invalidProducerEpoch,
  kafkaErrors.producerFenced,
];
/** The broker may have done it, or the transaction is none any more. */
const unsureCodes: readonly number[] = [
  kafkaErrors.requestTimedOut,
  kafkaErrors.networkException,
  kafkaErrors.notEnoughReplicasAfterAppend,
  kafkaErrors.kafkaStorageError,
  kafkaErrors.outOfOrderSequenceNumber,
  kafkaErrors.invalidTxnState,
  kafkaErrors.invalidProducerIdMapping,
  kafkaErrors.unknownProducerId,
  kafkaErrors.transactionCoordinatorFenced,
  kafkaErrors.transactionAbortable,
];

/**
 * A partition forgets who is fenced once nobody has written by the transactional id for
 * `producer.id.expiration.ms`, a day if nobody has changed it. An epoch that was not heard to be
 * good for so long, ms, is not used outside of transactions any more.
 */
const epochHoldsMs = 600_000;
/**
 * Nor is one so close to the last, 32,767: behind that a new producer id begins, whose epochs say
 * nothing about the former one.
 */
const epochMaxOutside = 30_000;

/** An EndTxn of this version and later gives the next epoch, and a write enters by itself. */
const versionOfBumps = 2;
const sequences = 2 ** 31;

export class KafkaProducer {
  readonly #options: ProducerOptions;
  #identity: ProducerIdentity = { producerId: -1, epoch: -1 };
  #bumps = false;
  #isOpen = false;
  #reason = '';
  /** When a broker last took the epoch for the newest. */
  #heardMs = -Infinity;
  /** By topic and partition, of the next record in this epoch. */
  readonly #sequences = new Map<string, number>();

  constructor(options: ProducerOptions) {
    this.#options = options;
  }

  /** Why the last result was not `done`: for messages. */
  get reason(): string {
    return this.#reason;
  }

  /** What is appended outside of transactions is fenced by this epoch. */
  get mayAppend(): boolean {
    return this.#identity.epoch < epochMaxOutside;
  }

  /**
   * Takes a new epoch. Afterwards nobody with an older one can write, and what they, or this one,
   * had begun is over: aborted, or committed if that was on its way, with all its markers. What
   * others append outside of transactions goes on until a `fence`.
   */
  async start(): Promise<void> {
    const { client, transactionalId, transactionTimeoutMs: timeoutMs } = this.#options;
    const attempt = this.#attempt(
      transactionalId === null ? 'register a producer' : `fence "${transactionalId}"`,
    );
    const asked = { transactionalId, timeoutMs, producerId: -1, epoch: -1 };
    this.#identity = await client.retried(attempt, async () => {
      this.#bumps = (await client.wire.features()).transactionVersion >= versionOfBumps;
      const broker = transactionalId === null ? null : await this.#coordinator();
      const answer = await client.wire
        .initProducerId(broker, asked)
        .catch((error: unknown) => this.#lost(error));
      const { error, producerId, epoch } = answer;
      if (error === kafkaErrors.none) return { done: { producerId, epoch } };
      // A newer one was quicker, while an older transaction was being ended.
      if (replacedCodes.includes(error)) return { again: kafkaErrors.concurrentTransactions };
      return { again: error, forget: () => this.#misdirected(error) };
    });
    this.#sequences.clear();
    this.#isOpen = false;
    this.#heardMs = this.#options.nowMs();
  }

  /** One transaction. Rejects when the cluster refuses it for good; `abandon` is due then. */
  transact(writes: readonly Write[]): Promise<SendResult> {
    return this.#inTransaction(writes, { others: [], joins: this.#bumps });
  }

  /**
   * A transaction that also ends in partitions which it writes nothing to: its markers tell them
   * of the epoch. When it is done and `start` has answered once more, they have them, and take
   * nothing from an older epoch, in or out of transactions.
   */
  fence(writes: readonly Write[], others: readonly TopicPartition[]): Promise<SendResult> {
    // Partitions without a write can only be added by the older protocol.
    return this.#inTransaction(writes, { others, joins: false });
  }

  /**
   * Appends one batch outside of transactions: it is there as a whole, and visible at once, or not.
   * `unsure`: it may still arrive, until a `fence`.
   */
  async append(write: Write): Promise<AppendResult> {
    const numbered = this.#numbered(write, false);
    let offset = -1;
    const result = await this.#round([numbered], 'outside', (at) => (offset = at));
    return { result, offset };
  }

  /** Appends the batches outside of transactions, those of a partition in order. */
  send(writes: readonly Write[]): Promise<SendResult> {
    return this.#send(writes, 'outside');
  }

  async #send(writes: readonly Write[], how: Sending): Promise<SendResult> {
    for (let rest = writes; rest.length > 0;) {
      // The protocol takes one batch a partition at a time.
      const seen = new Set<string>();
      const round = rest.filter((write) => !seen.has(nameOf(write)) && seen.add(nameOf(write)));
      rest = rest.filter((write) => !round.includes(write));
      const isInside = how !== 'outside';
      const numbered = round.map((write) => this.#numbered(write, isInside));
      const result = await this.#round(numbered, how);
      if (result !== 'done') return result;
    }
    return 'done';
  }

  /**
   * Whether all partitions have learnt how the last transaction ended, so that readers see it:
   * until then the coordinator gives nobody an epoch. Takes one; for a producer that writes no
   * more. Rejects with `WireFailure`.
   */
  async isShown(): Promise<boolean> {
    const { client, transactionalId, transactionTimeoutMs: timeoutMs } = this.#options;
    const asked = { ...this.#identity, transactionalId, timeoutMs };
    const answer = client.wire.initProducerId(await this.#coordinator(), asked);
    const { error } = await answer.catch((reason: unknown) => this.#lost(reason));
    this.#misdirected(error);
    // Who was replaced was waited for by whoever took the epoch.
    return error === kafkaErrors.none || replacedCodes.includes(error);
  }

  /** Ends a transaction that was begun and comes to nothing, so that readers need not wait. */
  async abandon(): Promise<void> {
    const { client, transactionalId } = this.#options;
    if (!this.#isOpen || transactionalId === null) return;
    const asked = { ...this.#identity, transactionalId, committed: false, bumps: this.#bumps };
    try {
      await client.wire.endTransaction(await this.#coordinator(), asked);
    } catch {
      // The cluster does it in time, and what made it necessary is about to be reported.
    }
  }

  async #inTransaction(
    writes: readonly Write[],
    { others, joins }: { readonly others: readonly TopicPartition[]; readonly joins: boolean },
  ): Promise<SendResult> {
    this.#isOpen = true;
    const entered = joins ? 'done' : await this.#enter([...writes.map(placeOf), ...others]);
    if (entered !== 'done') return entered;
    const sent = await this.#send(writes, joins ? 'joining' : 'entered');
    return sent === 'done' ? this.#end({ bumps: joins }) : sent;
  }

  async #enter(places: readonly TopicPartition[]): Promise<SendResult> {
    const { client } = this.#options;
    const transactionalId = this.#options.transactionalId!;
    const named = new Map(places.map((at) => [`${at.topic}/${at.partition}`, at]));
    const partitions = [...named.values()];
    const topics = [...new Set(partitions.map(({ topic }) => topic))].toSorted();
    const attempt = this.#attempt(`begin to write to the topics "${topics.join('", "')}"`);
    return client.retried(attempt, async () => {
      const broker = await this.#coordinator();
      const answers = await client.wire
        .addPartitionsToTransaction(broker, { ...this.#identity, transactionalId, partitions })
        .catch((error: unknown) => this.#unanswered(error));
      if (answers === null) return { done: 'unsure' };
      const codes = answers.map(({ error }) => error).filter((code) => code !== 0);
      const worst = codes.find((code) => code !== kafkaErrors.operationNotAttempted) ?? codes[0];
      if (worst === kafkaErrors.unknownTopicOrPartition) await this.#seek(partitions);
      return this.#judged(worst ?? kafkaErrors.none, () => this.#misdirected(worst ?? 0));
    });
  }

  /** Rejects with `topic-unknown` where a topic is gone for good. */
  async #seek(partitions: readonly TopicPartition[]): Promise<void> {
    const { client } = this.#options;
    for (const { topic } of partitions) client.forgetLeaders(topic);
    await Promise.all(partitions.map((at) => client.leader(at)));
  }

  async #end({ bumps }: { readonly bumps: boolean }): Promise<SendResult> {
    const { client } = this.#options;
    const transactionalId = this.#options.transactionalId!;
    const attempt = this.#attempt(`end the transaction of "${transactionalId}"`);
    const asked = { ...this.#identity, transactionalId, committed: true, bumps };
    return client.retried<SendResult>(attempt, async () => {
      const broker = await this.#coordinator();
      const answer = await client.wire
        .endTransaction(broker, asked)
        .catch((error: unknown) => this.#unanswered(error));
      if (answer === null) return { done: 'unsure' };
      const { error, producerId, epoch } = answer;
      if (error !== kafkaErrors.none) return this.#judged(error, () => this.#misdirected(error));
      if (bumps) {
        this.#identity = { producerId, epoch };
        this.#sequences.clear();
      }
      this.#isOpen = false;
      this.#heardMs = this.#options.nowMs();
      return { done: 'done' };
    });
  }

  /** One batch for each partition; those of one leader share a request. */
  async #round(
    writes: readonly Numbered[],
    how: Sending,
    onOffset: (offset: number) => void = () => {},
  ): Promise<SendResult> {
    const { client } = this.#options;
    let left = writes;
    const topics = [...new Set(writes.map(({ topic }) => topic))].toSorted();
    const attempt = this.#attempt(`write to the topic "${topics.join('", "')}"`);
    return client.retried<SendResult>(attempt, async () => {
      const leaders = await Promise.all(left.map((write) => client.leader(placeOf(write))));
      for (const [index, { topic, topicId }] of left.entries()) {
        const found = leaders[index]!.topicId;
        if (topicId !== undefined && found !== topicId) throw topicRecreated({ topic }, found);
      }
      const requests = grouped(left, (index) => leaders[index]!.broker);
      if (how === 'outside' && this.#isStale()) return { done: 'unsure' };
      const answers = await Promise.all(
        requests.map(({ broker, part }) => this.#produce(broker, part, { how, onOffset })),
      );
      left = answers.flatMap((answer) => answer.left);
      const results = answers.flatMap(({ result }) => result ?? []);
      for (const result of ['replaced', 'unsure'] as const) {
        if (results.includes(result)) return { done: result };
      }
      if (left.length === 0) return { done: 'done' };
      return { again: answers.find(({ again }) => again !== null)!.again! };
    });
  }

  /**
   * Without a transaction, what may have been appended is sent again under its old numbers, and the
   * broker leaves out what it has. In one, the epoch has to change first: see above.
   */
  async #produce(
    broker: number,
    writes: readonly Numbered[],
    { how, onOffset }: { readonly how: Sending; readonly onOffset: (offset: number) => void },
  ): Promise<Produced> {
    const { client } = this.#options;
    const isOutside = how === 'outside';
    const transactionalId = isOutside ? null : this.#options.transactionalId;
    const joins = how === 'joining';
    const partitions = writes.map(({ topic, batch, bytes }) => {
      return { topic, partition: batch.partition, records: bytes };
    });
    const common = { acks: -1, timeoutMs: produceTimeoutMs } as const;
    const request = { ...common, transactionalId, joins, partitions };
    const forget = (): void => writes.forEach(({ topic }) => client.forgetLeaders(topic));
    let answers: readonly ProducedPartition[];
    try {
      answers = await client.wire.produce(broker, request);
    } catch (error) {
      if (!isWireFailure(error)) throw error;
      forget();
      if (error.unclear && !isOutside) {
        this.#reason = error.message;
        return { result: 'unsure', left: [], again: null };
      }
      return { result: null, left: [...writes], again: error };
    }
    const found: Produced = { result: null, left: [], again: null };
    for (const write of writes) {
      const { topic, batch } = write;
      const answer = answers.find(
        (other) => other.topic === topic && other.partition === batch.partition,
      );
      const code = answer?.error ?? kafkaErrors.networkException;
      if (code === kafkaErrors.none || code === kafkaErrors.duplicateSequenceNumber) {
        this.#heardMs = this.#options.nowMs();
        onOffset(answer?.offset ?? -1);
        continue;
      }
      // The end of the transaction before it is still on its way to the partition.
      const isEarly = isOutside && code === kafkaErrors.invalidTxnState;
      const isRepeatable = isOutside && (isTransient(code) || isEarly);
      const result = isRepeatable ? null : this.#resultOf(code);
      if (result !== null) found.result = found.result === 'replaced' ? 'replaced' : result;
      else if (isEarly || isTransient(code) || isMisdirected(code)) {
        if (isMisdirected(code)) client.forgetLeaders(topic);
        found.left.push(write);
        found.again = isEarly ? kafkaErrors.concurrentTransactions : code;
      } else throw this.#refused(code, topic, answer?.message ?? null);
    }
    return found;
  }

  /** Of no transactional id, nobody is fenced. */
  #isStale(): boolean {
    const { transactionalId, nowMs } = this.#options;
    if (transactionalId === null || nowMs() - this.#heardMs <= epochHoldsMs) return false;
    this.#reason = 'its epoch was not used for too long';
    return true;
  }

  #numbered(write: Write, transactional: boolean): Numbered {
    const { topic, batch } = write;
    const { codecs } = this.#options;
    const name = nameOf({ topic, batch });
    const sequence = this.#sequences.get(name) ?? 0;
    this.#sequences.set(name, (sequence + batch.records) % sequences);
    const bytes = sealed(batch, { ...this.#identity, sequence, transactional }, codecs);
    return { ...write, bytes };
  }

  #coordinator(): Promise<number> {
    const { client, transactionalId } = this.#options;
    return client.coordinator({ kind: 'transaction', key: transactionalId! });
  }

  #forgetCoordinator(): void {
    const { client, transactionalId } = this.#options;
    if (transactionalId === null) return;
    client.forgetCoordinator({ kind: 'transaction', key: transactionalId });
  }

  #misdirected(code: number): void {
    if (isMisdirected(code)) this.#forgetCoordinator();
  }

  /** The coordinator may be another one by now. */
  #lost(error: unknown): never {
    if (isWireFailure(error)) this.#forgetCoordinator();
    throw error;
  }

  /** Null: it may have been carried out. Throws if it was not. */
  #unanswered(error: unknown): null {
    if (!isWireFailure(error)) throw error;
    this.#forgetCoordinator();
    this.#reason = error.message;
    if (error.unclear) return null;
    throw error;
  }

  #judged(code: number, forget: () => void): Outcome<SendResult> {
    if (code === kafkaErrors.none) return { done: 'done' };
    const result = this.#resultOf(code);
    return result === null ? { again: code, forget } : { done: result };
  }

  /** Null: neither. */
  #resultOf(code: number): SendResult | null {
    const isReplaced = replacedCodes.includes(code);
    if (!isReplaced && !unsureCodes.includes(code)) return null;
    this.#reason = kafkaErrorName(code);
    return isReplaced ? 'replaced' : 'unsure';
  }

  #refused(code: number, topic: string, message: string | null): StreamError {
    const { origin } = this.#options;
    const detail = [message, origin].filter((part) => part !== null && part !== '').join(', ');
    return kafkaRefusal(code, this.#attempt(`write to the topic "${topic}"`), detail);
  }

  #attempt(what: string): Attempt {
    return { what, at: this.#options.client.wire.description };
  }
}

/** For how long a leader waits for its followers, at most. */
const produceTimeoutMs = 30_000;

/** `joining`: KIP-890, a write enters the transaction by itself. */
type Sending = 'outside' | 'entered' | 'joining';

type Numbered = Write & { readonly bytes: Uint8Array };

type Produced = {
  result: SendResult | null;
  left: Numbered[];
  again: number | WireFailure | null;
};

/** By broker, and in parts that a broker takes. */
function grouped(
  writes: readonly Numbered[],
  brokerOf: (index: number) => number,
): { readonly broker: number; readonly part: readonly Numbered[] }[] {
  const groups: { readonly broker: number; readonly part: Numbered[]; bytes: number }[] = [];
  writes.forEach((write, index) => {
    const broker = brokerOf(index);
    const bytes = write.bytes.length;
    const open = groups.findLast((group) => group.broker === broker);
    if (open === undefined || open.bytes + bytes > requestBytesMax) {
      groups.push({ broker, part: [write], bytes });
    } else {
      open.part.push(write);
      open.bytes += bytes;
    }
  });
  return groups;
}

function nameOf({ topic, batch }: Write): string {
  return `${topic}/${batch.partition}`;
}

function placeOf({ topic, batch }: Write): TopicPartition {
  return { topic, partition: batch.partition };
}
