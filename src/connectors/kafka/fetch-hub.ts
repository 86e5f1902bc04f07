// All readers of one source in one thread: each is served by the loop of the broker that leads its
// partition, and led to another one when the leader changes, for as long as there is patience.

import { StreamError } from '../../base/stream-error.ts';
import { kafkaErrors } from './error-codes.ts';
import { FetchLoop } from './fetch-loop.ts';
import type { FetchLoopOptions, Subscriber } from './fetch-loop.ts';
import { isMisdirected, isTransient, kafkaRefusal, kafkaUnreachable } from './kafka-errors.ts';
import { topicRecreated } from './source-errors.ts';

export type FetchHubOptions = Omit<FetchLoopOptions, 'broker' | 'onLost'> & {
  readonly patienceMs: number;
};

const pauseMsMin = 2;
const pauseMsMax = 200;
/** A broker that has just started may not know a topic yet. */
const unknownMsMax = 5_000;

type Place = { loop: FetchLoop | null; lostMs: number | null; pauseMs: number };

export class FetchHub {
  readonly #options: FetchHubOptions;
  readonly #loops: FetchLoop[] = [];
  readonly #places = new Map<Subscriber, Place>();

  constructor(options: FetchHubOptions) {
    this.#options = options;
  }

  join(subscriber: Subscriber): void {
    this.#places.set(subscriber, { loop: null, lostMs: null, pauseMs: pauseMsMin });
    void this.#lead(subscriber);
  }

  leave(subscriber: Subscriber): void {
    this.#places.get(subscriber)?.loop?.remove(subscriber);
    this.#places.delete(subscriber);
  }

  /** It has room again. */
  poke(subscriber: Subscriber): void {
    this.#places.get(subscriber)?.loop?.poke();
  }

  /** It got an answer, so that the patience is whole again. */
  settled(subscriber: Subscriber): void {
    const place = this.#places.get(subscriber);
    if (place === undefined) return;
    place.lostMs = null;
    place.pauseMs = pauseMsMin;
  }

  async #lead(subscriber: Subscriber): Promise<void> {
    const { client } = this.#options;
    try {
      const leader = await client.leader(subscriber);
      const place = this.#places.get(subscriber);
      if (place === undefined) return;
      if (leader.topicId !== subscriber.topicId) throw topicRecreated(subscriber, leader.topicId);
      place.loop = this.#loopOf(leader.broker, subscriber);
      place.loop.add(subscriber, leader);
    } catch (error) {
      this.#fail(subscriber, error as Error);
    }
  }

  /** Two runs of one source may read the same partition: a request has it once. */
  #loopOf(broker: number, subscriber: Subscriber): FetchLoop {
    const found = this.#loops.find((loop) => loop.broker === broker && !loop.reads(subscriber));
    if (found !== undefined) return found;
    const onLost = (lost: Subscriber, why: Error | number): void => void this.#onLost(lost, why);
    const loop = new FetchLoop({ ...this.#options, broker, onLost });
    this.#loops.push(loop);
    return loop;
  }

  async #onLost(subscriber: Subscriber, why: Error | number): Promise<void> {
    const { client, clock, patienceMs } = this.#options;
    const place = this.#places.get(subscriber);
    if (place === undefined) return;
    place.loop = null;
    place.lostMs ??= clock.nowMs();
    const lostMs = clock.nowMs() - place.lostMs;
    // A password that was changed, a certificate that has expired.
    if (why instanceof StreamError) return this.#fail(subscriber, why);
    if (typeof why === 'number' && !isTransient(why) && !isMisdirected(why)) {
      return this.#fail(subscriber, this.#refusal(subscriber, why));
    }
    if (lostMs > patienceMs) {
      const attempt = this.#attempt(subscriber);
      const error =
        typeof why === 'number'
          ? kafkaRefusal(why, attempt, 'for too long')
          : kafkaUnreachable(attempt, why, patienceMs);
      return this.#fail(subscriber, error);
    }
    client.forgetLeaders(subscriber.topic);
    const { pauseMs } = place;
    place.pauseMs = Math.min(pauseMs * 2, pauseMsMax);
    await clock.sleep(pauseMs);
    if (!this.#places.has(subscriber)) return;
    try {
      const found = await client.findTopic(subscriber.topic);
      if (found === null) return await this.#onUnknown(subscriber, lostMs);
      const { topicId } = found;
      if (topicId !== subscriber.topicId) throw topicRecreated(subscriber, topicId);
    } catch (error) {
      return this.#fail(subscriber, error as Error);
    }
    return this.#lead(subscriber);
  }

  async #onUnknown(subscriber: Subscriber, lostMs: number): Promise<void> {
    const code = kafkaErrors.unknownTopicOrPartition;
    if (lostMs <= Math.min(unknownMsMax, this.#options.patienceMs)) {
      return this.#onLost(subscriber, code);
    }
    this.#fail(subscriber, this.#refusal(subscriber, code));
  }

  #fail(subscriber: Subscriber, error: Error): void {
    if (!this.#places.has(subscriber)) return;
    this.leave(subscriber);
    subscriber.onFailed(error);
  }

  #refusal(subscriber: Subscriber, code: number): StreamError {
    return kafkaRefusal(code, this.#attempt(subscriber));
  }

  #attempt({ topic, partition }: Subscriber): { readonly what: string; readonly at: string } {
    const what = `read partition ${partition} of the topic "${topic}"`;
    return { what, at: this.#options.client.wire.description };
  }
}
