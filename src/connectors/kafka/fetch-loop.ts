// Asks one broker for all partitions it leads of which this thread has readers: one request at a
// time, answered as soon as one of them has something. Who has no room is left out; while somebody
// is, the broker may not wait for long, since the one left out would wait with it.

import { kafkaErrors } from './error-codes.ts';
import type { KafkaClient, KafkaClock, Leader } from './kafka-client.ts';
import type {
  FetchedPartition,
  FetchRequest,
  Isolation,
  TopicPartition,
} from '../../ports/kafka-wire.ts';

/** Somebody who wants one partition's records from an offset on. */
export type Subscriber = {
  readonly topic: string;
  readonly partition: number;
  /** That of the run: another one is another topic. */
  readonly topicId: string;
  /** What is fetched next. */
  readonly fetchOffset: number;
  hasRoom(): boolean;
  /** An answer without error, perhaps without records. */
  onFetched(answer: FetchedPartition): void;
  /** Its offset is not there. */
  onOutOfRange(): void;
  onFailed(error: Error): void;
};

export type FetchBounds = {
  readonly waitMsMax: number;
  /** Of one partition, and of one answer. */
  readonly partitionBytesMax: number;
  readonly answerBytesMax: number;
};

export type FetchLoopOptions = {
  readonly client: KafkaClient;
  readonly clock: KafkaClock;
  readonly broker: number;
  readonly isolation: Isolation;
  readonly bounds: FetchBounds;
  /** Somebody is to be served elsewhere, or later: why. */
  readonly onLost: (subscriber: Subscriber, why: Error | number) => void;
  /** After every answer. */
  readonly onTurn: () => void;
};

type Entry = { readonly subscriber: Subscriber; readonly leader: Leader };

/** The wait of a poll while somebody has no room or has just come, ms. */
const waitMsShort = 10;

export class FetchLoop {
  readonly #options: FetchLoopOptions;
  /** In the order in which they are asked for: who got something goes last. */
  #subscribers: Entry[] = [];
  #running = false;
  #waitMs = waitMsShort;
  #wake: (() => void) | null = null;

  constructor(options: FetchLoopOptions) {
    this.#options = options;
  }

  get broker(): number {
    return this.#options.broker;
  }

  /** Whether it asks for that partition already. */
  reads({ topic, partition }: TopicPartition): boolean {
    return this.#subscribers.some(
      ({ subscriber: other }) => other.topic === topic && other.partition === partition,
    );
  }

  add(subscriber: Subscriber, leader: Leader): void {
    this.#subscribers.push({ subscriber, leader });
    this.#waitMs = waitMsShort;
    this.poke();
    if (this.#running) return;
    this.#running = true;
    void this.#run();
  }

  remove(subscriber: Subscriber): void {
    this.#subscribers = this.#subscribers.filter((each) => each.subscriber !== subscriber);
    this.poke();
  }

  /** Somebody may have room again. */
  poke(): void {
    this.#wake?.();
  }

  async #run(): Promise<void> {
    // Those that are opened in one go come into one request.
    await this.#options.clock.sleep(0);
    while (this.#subscribers.length > 0) {
      const asked = this.#subscribers.filter(({ subscriber }) => subscriber.hasRoom());
      if (asked.length > 0) await this.#fetch(asked);
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = null;
      }
    }
    this.#running = false;
  }

  async #fetch(asked: readonly Entry[]): Promise<void> {
    const { client, clock, broker, onTurn, onLost } = this.#options;
    const isWhole = asked.length === this.#subscribers.length;
    const waitMs = isWhole ? this.#waitMs : waitMsShort;
    const beginMs = clock.nowMs();
    const offsets = asked.map(({ subscriber }) => subscriber.fetchOffset);
    let answers: readonly FetchedPartition[];
    try {
      answers = await client.wire.fetchRecords(broker, this.#request(asked, waitMs));
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error));
      for (const { subscriber } of asked) {
        if (!this.#has(subscriber)) continue;
        this.remove(subscriber);
        onLost(subscriber, cause);
      }
      return;
    }
    let gotSome = false;
    for (const answer of answers) {
      const index = asked.findIndex(
        ({ subscriber: { topic, partition } }) =>
          topic === answer.topic && partition === answer.partition,
      );
      const entry = asked[index];
      if (entry === undefined || !this.#has(entry.subscriber)) continue;
      if (entry.subscriber.fetchOffset !== offsets[index]) continue;
      gotSome ||= answer.records.length > 0 || answer.error !== kafkaErrors.none;
      this.#deliver(entry, answer);
    }
    onTurn();
    if (gotSome) return;
    this.#waitMs = Math.min(this.#waitMs * 2, this.#options.bounds.waitMsMax);
    // A broker that answers nothing at once would be asked all the time.
    if (clock.nowMs() - beginMs < waitMs / 2) await clock.sleep(waitMsShort);
  }

  #deliver(entry: Entry, answer: FetchedPartition): void {
    const { subscriber } = entry;
    if (answer.error === kafkaErrors.none) {
      if (answer.records.length === 0) return subscriber.onFetched(answer);
      this.#subscribers = this.#subscribers.filter((each) => each !== entry);
      this.#subscribers.push(entry);
      return subscriber.onFetched(answer);
    }
    this.remove(subscriber);
    if (answer.error === kafkaErrors.offsetOutOfRange) subscriber.onOutOfRange();
    else this.#options.onLost(subscriber, answer.error);
  }

  #has(subscriber: Subscriber): boolean {
    return this.#subscribers.some((each) => each.subscriber === subscriber);
  }

  #request(asked: readonly Entry[], waitMs: number): FetchRequest {
    const { isolation, bounds } = this.#options;
    return {
      waitMs,
      bytesMin: 1,
      bytesMax: bounds.answerBytesMax,
      isolation,
      partitions: asked.map(({ subscriber, leader }) => ({
        topic: subscriber.topic,
        partition: subscriber.partition,
        topicId: subscriber.topicId,
        leaderEpoch: leader.epoch,
        offset: subscriber.fetchOffset,
        bytesMax: bounds.partitionBytesMax,
      })),
    };
  }
}
