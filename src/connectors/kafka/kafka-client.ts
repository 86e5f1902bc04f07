// Who leads a partition, who coordinates a transaction or a group, and asking again: what source
// and sink share above the wire. It keeps what it has learnt until somebody finds it wrong.

import type { StreamError } from '../../base/stream-error.ts';
import { kafkaErrors } from './error-codes.ts';
import type { Attempt } from './kafka-errors.ts';
import {
  isMisdirected,
  isTransient,
  isWireFailure,
  kafkaRefusal,
  kafkaUnreachable,
} from './kafka-errors.ts';
import type {
  KafkaPlatform,
  KafkaWire,
  NewTopic,
  TopicMetadata,
  TopicPartition,
} from '../../ports/kafka-wire.ts';

export type KafkaClock = Pick<KafkaPlatform, 'nowMs' | 'sleep'>;

export type Leader = {
  readonly broker: number;
  readonly epoch: number;
  readonly topicId: string;
};

export type Coordinated = { readonly kind: 'group' | 'transaction'; readonly key: string };

/** What an attempt came to: the result, or why it is worth trying again. */
export type Outcome<Result> =
  | { readonly done: Result }
  | { readonly again: Error | number; readonly forget?: () => void };

export type ClientOptions = {
  readonly clock: KafkaClock;
  /** For how long it asks again before it gives up, ms. */
  readonly patienceMs: number;
};

/** First pause before asking again, and the longest: an election takes a second or so. */
const pauseMsMin = 2;
const pauseMsMax = 200;
/** All brokers know a new topic after this time, ms. */
const spreadMsMax = 5_000;

export class KafkaClient {
  readonly wire: KafkaWire;
  readonly #clock: KafkaClock;
  #patienceMs: number;
  readonly #topics = new Map<string, Promise<TopicMetadata>>();
  /** When a topic was looked for and found, or made: brokers learn of it one after the other. */
  readonly #foundMs = new Map<string, number>();
  readonly #coordinators = new Map<string, Promise<number>>();

  constructor(wire: KafkaWire, { clock, patienceMs }: ClientOptions) {
    this.wire = wire;
    this.#clock = clock;
    this.#patienceMs = patienceMs;
  }

  /** As it is now. Rejects with `topic-unknown` and the like. */
  async topic(topic: string): Promise<TopicMetadata> {
    this.#topics.delete(topic);
    return this.#topic(topic);
  }

  /** Null: no such topic at present. */
  async findTopic(topic: string): Promise<TopicMetadata | null> {
    return this.retried(this.#attempt(`look for the topic "${topic}"`), async () => {
      const [found] = (await this.wire.metadata(null, [topic])).topics;
      if (found === undefined || found.error === kafkaErrors.unknownTopicOrPartition) {
        return { done: null };
      }
      if (found.error !== kafkaErrors.none) return { again: found.error };
      this.#foundMs.set(topic, this.#clock.nowMs());
      return { done: found };
    });
  }

  /** A setting of a topic; null: it has none, or this user may not see it. */
  async topicConfig(topic: string, name: string): Promise<string | null> {
    const attempt = this.#attempt(`read "${name}" of the topic "${topic}"`);
    return this.retried(attempt, async () => {
      const { error, configs } = await this.wire.topicConfigs(null, topic, [name]);
      if (error === kafkaErrors.none) return { done: configs.get(name) ?? null };
      if (error === kafkaErrors.topicAuthorizationFailed) return { done: null };
      if (error === kafkaErrors.clusterAuthorizationFailed) return { done: null };
      return { again: error };
    });
  }

  /** False: it was there. */
  async createTopic(topic: NewTopic): Promise<boolean> {
    return this.retried(this.#attempt(`create the topic "${topic.topic}"`), async () => {
      const [made] = await this.wire.createTopics(null, [topic]);
      const isThere = made?.error === kafkaErrors.topicAlreadyExists;
      if (made?.error === kafkaErrors.none || isThere) {
        this.#foundMs.set(topic.topic, this.#clock.nowMs());
        return { done: !isThere };
      }
      return { again: made?.error ?? kafkaErrors.networkException };
    });
  }

  /** Who leads a partition, as far as is known; waits while nobody does. */
  async leader({ topic, partition }: TopicPartition): Promise<Leader> {
    const what = `find the leader of partition ${partition} of the topic "${topic}"`;
    return this.retried(this.#attempt(what), async () => {
      const found = await this.#topic(topic);
      const forget = (): void => void this.#topics.delete(topic);
      const at = found.partitions.find((other) => other.partition === partition);
      if (at === undefined) return { again: kafkaErrors.unknownTopicOrPartition, forget };
      if (at.leader < 0) return { again: at.error || kafkaErrors.leaderNotAvailable, forget };
      return { done: { broker: at.leader, epoch: at.leaderEpoch, topicId: found.topicId } };
    });
  }

  /** A leader turned out not to be one, or not to answer. */
  forgetLeaders(topic: string): void {
    this.#topics.delete(topic);
  }

  async coordinator(of: Coordinated): Promise<number> {
    const name = `${of.kind} ${of.key}`;
    const known = this.#coordinators.get(name);
    if (known !== undefined) return known;
    const what = `find the coordinator of the ${of.kind} "${of.key}"`;
    const found = this.retried(this.#attempt(what), async () => {
      const { error, broker } = await this.wire.findCoordinator(null, of);
      return error === kafkaErrors.none ? { done: broker } : { again: error };
    });
    this.#coordinators.set(name, found);
    found.catch(() => this.#coordinators.delete(name));
    return found;
  }

  forgetCoordinator({ kind, key }: Coordinated): void {
    this.#coordinators.delete(`${kind} ${key}`);
  }

  /**
   * Tries until it is done. A code or failure that waiting may mend is tried again, with growing
   * pauses, for as long as there is patience; another code is the error at once.
   */
  async retried<Result>(attempt: Attempt, action: () => Promise<Outcome<Result>>): Promise<Result> {
    const startMs = this.#clock.nowMs();
    for (let pauseMs = pauseMsMin; ; pauseMs = Math.min(pauseMs * 2, pauseMsMax)) {
      const outcome = await action().catch((error: unknown): Outcome<Result> => {
        if (!isWireFailure(error)) throw error;
        return { again: error };
      });
      if ('done' in outcome) return outcome.done;
      const { again, forget } = outcome;
      if (typeof again === 'number' && !isTransient(again) && !isMisdirected(again)) {
        throw kafkaRefusal(again, attempt);
      }
      forget?.();
      const spentMs = this.#clock.nowMs() - startMs;
      if (spentMs + pauseMs > this.#patienceMs) throw this.#givenUp(attempt, again);
      await this.#clock.sleep(pauseMs);
    }
  }

  /**
   * What a partition's leader answers about it. Where it does not answer, or with a code that is
   * not among `expected`, the leader is sought anew and asked again, as `retried` does.
   */
  async askLeader<Answer extends { readonly error: number }>(
    what: string,
    at: TopicPartition,
    {
      ask,
      expected = [],
    }: {
      readonly ask: (leader: Leader) => Promise<readonly Answer[]>;
      /** Codes that are answers as good as none. */
      readonly expected?: readonly number[];
    },
  ): Promise<Answer> {
    const forget = (): void => this.forgetLeaders(at.topic);
    return this.retried<Answer>(this.#attempt(what), async () => {
      const leader = await this.leader(at);
      let answer: Answer | undefined;
      try {
        [answer] = await ask(leader);
      } catch (error) {
        if (!isWireFailure(error)) throw error;
        return { again: error, forget };
      }
      const error = answer?.error ?? kafkaErrors.networkException;
      const isDone = error === kafkaErrors.none || expected.includes(error);
      return isDone ? { done: answer! } : { again: error, forget };
    });
  }

  sleep(ms: number): Promise<void> {
    return this.#clock.sleep(ms);
  }

  /** From now on it gives up after so long, ms. */
  hurry(patienceMs: number): void {
    this.#patienceMs = Math.min(this.#patienceMs, patienceMs);
  }

  close(): Promise<void> {
    return this.wire.close();
  }

  #topic(topic: string): Promise<TopicMetadata> {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    const found = this.#ask(topic);
    this.#topics.set(topic, found);
    found.catch(() => {
      if (this.#topics.get(topic) === found) this.#topics.delete(topic);
    });
    return found;
  }

  async #ask(topic: string): Promise<TopicMetadata> {
    const attempt = this.#attempt(`find the topic "${topic}"`);
    return this.retried(attempt, async () => {
      const [found] = (await this.wire.metadata(null, [topic])).topics;
      const error = found?.error ?? kafkaErrors.unknownTopicOrPartition;
      if (error === kafkaErrors.none) return { done: found! };
      // A wrong name should not take long.
      const isUnknown = error === kafkaErrors.unknownTopicOrPartition;
      if (isUnknown && !this.#isNews(topic)) throw kafkaRefusal(error, attempt);
      return { again: error };
    });
  }

  /** Some broker may not know it yet. */
  #isNews(topic: string): boolean {
    return this.#clock.nowMs() - (this.#foundMs.get(topic) ?? -Infinity) < spreadMsMax;
  }

  #attempt(what: string): Attempt {
    return { what, at: this.wire.description };
  }

  #givenUp(attempt: Attempt, last: Error | number): StreamError {
    if (typeof last === 'number') return kafkaRefusal(last, attempt, 'for too long');
    return kafkaUnreachable(attempt, last, this.#patienceMs);
  }
}
