// Sends record batches as one producer: all of a transaction or none of it, or, without a
// transactional id, one after the other without gaps and repetitions. It knows the protocol and
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
};

/** `unsure`: it has happened or not, or was aborted. `replaced`: somebody has a newer epoch. */
export type SendResult = 'done' | 'unsure' | 'replaced';

export type Write = {
  readonly topic: string;
  /** Another topic of the same name is refused. Default: it is not. */
  readonly topicId?: string;
  readonly batch: RecordBatch;
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

/** An EndTxn of this version and later gives the next epoch, and a write enters by itself. */
const versionOfBumps = 2;
const sequences = 2 ** 31;

export class KafkaProducer {
  readonly #options: ProducerOptions;
  #identity: ProducerIdentity = { producerId: -1, epoch: -1 };
  #bumps = false;
  #isOpen = false;
  #reason = '';
  /** By topic and partition, of the next record in this epoch. */
  readonly #sequences = new Map<string, number>();

  constructor(options: ProducerOptions) {
    this.#options = options;
  }

  /** Why the last result was not `done`: for messages. */
  get reason(): string {
    return this.#reason;
  }

  /**
   * Takes a new epoch. Afterwards nobody with an older one can write, and what they, or this one,
   * had begun is over: aborted, or committed if that was on its way.
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
  }

  /** One transaction. Rejects when the cluster refuses it for good; `abandon` is due then. */
  async transact(writes: readonly Write[]): Promise<SendResult> {
    this.#isOpen = true;
    const entered = this.#bumps ? 'done' : await this.#enter(writes);
    if (entered !== 'done') return entered;
    const sent = await this.send(writes);
    return sent === 'done' ? this.#end(true) : sent;
  }

  /** Appends the batches, those of a partition in order. */
  async send(writes: readonly Write[]): Promise<SendResult> {
    for (let rest = writes; rest.length > 0;) {
      // The protocol takes one batch a partition at a time.
      const seen = new Set<string>();
      const round = rest.filter((write) => !seen.has(nameOf(write)) && seen.add(nameOf(write)));
      rest = rest.filter((write) => !round.includes(write));
      const result = await this.#round(round.map((write) => this.#numbered(write)));
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

  async #enter(writes: readonly Write[]): Promise<SendResult> {
    const { client } = this.#options;
    const transactionalId = this.#options.transactionalId!;
    const named = new Map(writes.map((write) => [nameOf(write), placeOf(write)]));
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

  async #end(committed: boolean): Promise<SendResult> {
    const { client } = this.#options;
    const transactionalId = this.#options.transactionalId!;
    const attempt = this.#attempt(`end the transaction of "${transactionalId}"`);
    const bumps = this.#bumps;
    const asked = { ...this.#identity, transactionalId, committed, bumps };
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
      return { done: 'done' };
    });
  }

  /** One batch for each partition; those of one leader share a request. */
  async #round(writes: readonly Numbered[]): Promise<SendResult> {
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
      const answers = await Promise.all(
        requests.map(({ broker, part }) => this.#produce(broker, part)),
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
  async #produce(broker: number, writes: readonly Numbered[]): Promise<Produced> {
    const { client, transactionalId } = this.#options;
    const partitions = writes.map(({ topic, batch, bytes }) => {
      return { topic, partition: batch.partition, records: bytes };
    });
    const request = { transactionalId, acks: -1, timeoutMs: produceTimeoutMs, partitions } as const;
    const forget = (): void => writes.forEach(({ topic }) => client.forgetLeaders(topic));
    let answers: readonly ProducedPartition[];
    try {
      answers = await client.wire.produce(broker, request);
    } catch (error) {
      if (!isWireFailure(error)) throw error;
      forget();
      if (error.unclear && transactionalId !== null) {
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
      if (code === kafkaErrors.none || code === kafkaErrors.duplicateSequenceNumber) continue;
      const isRepeatable = transactionalId === null && isTransient(code);
      const result = isRepeatable ? null : this.#resultOf(code);
      if (result !== null) found.result = found.result === 'replaced' ? 'replaced' : result;
      else if (isTransient(code) || isMisdirected(code)) {
        if (isMisdirected(code)) client.forgetLeaders(topic);
        found.left.push(write);
        found.again = code;
      } else throw this.#refused(code, topic, answer?.message ?? null);
    }
    return found;
  }

  #numbered(write: Write): Numbered {
    const { topic, batch } = write;
    const { codecs, transactionalId } = this.#options;
    const name = nameOf({ topic, batch });
    const sequence = this.#sequences.get(name) ?? 0;
    this.#sequences.set(name, (sequence + batch.records) % sequences);
    const transactional = transactionalId !== null;
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
