// Reads a partition of a range log's topic from its start on, and keeps what follows from it.

import type { StreamError } from '../../base/stream-error.ts';
import { storageError } from '../../control/storage/storage-errors.ts';
import type { FetchedPartition, KafkaCodecs, TopicPartition } from '../../ports/kafka-wire.ts';
import { kafkaErrors } from './error-codes.ts';
import type { KafkaClient, Leader, Outcome } from './kafka-client.ts';
import type { LogOwner } from './log-marks.ts';
import { LogState, decodeMark } from './log-marks.ts';
import { decodePlainBatches } from './plain-batch.ts';

export type LogPlace = TopicPartition & {
  readonly client: KafkaClient;
  readonly owner: LogOwner;
  readonly codecs: KafkaCodecs;
  readonly keepsRanges: boolean;
};

const fetchBytesMax = 1024 * 1024;
const waitMs = 500;

export class LogScan {
  readonly #place: LogPlace;
  #position = -1;
  state: LogState;

  constructor(place: LogPlace) {
    this.#place = place;
    this.state = new LogState(place);
  }

  /** Reads all that was there when it was called. */
  async toEnd(): Promise<void> {
    await this.through((await this.#offset(-1)) - 1);
  }

  /** Reads up to an offset that is known to be in the log. */
  async through(offset: number): Promise<void> {
    if (this.#position < 0) await this.#restart();
    while (this.#position <= offset) await this.#more();
  }

  /** What was deleted is not known here any more: all begins again with what is left. */
  async #restart(): Promise<void> {
    this.#position = await this.#offset(-2);
    this.state = new LogState(this.#place);
  }

  async #more(): Promise<void> {
    const { client, topic, partition, owner, codecs } = this.#place;
    const from = this.#position;
    const found = await client.retried<FetchedPartition | null>(this.#attempt('read'), async () => {
      const leader = await client.leader({ topic, partition });
      const [answer] = await client.wire.fetchRecords(leader.broker, {
        waitMs,
        bytesMin: 1,
        bytesMax: fetchBytesMax,
        isolation: 'read-uncommitted',
        partitions: [asked(this.#place, leader, from)],
      });
      const error = answer?.error ?? kafkaErrors.networkException;
      if (error === kafkaErrors.offsetOutOfRange) return { done: null };
      return error === kafkaErrors.none ? { done: answer! } : this.#again(error);
    });
    if (found === null) return this.#restart();
    const decoded = decodePlainBatches(found.records, from, codecs);
    if (decoded === null) throw this.#damaged(from);
    for (const { offset, value } of decoded.records) {
      const mark = value === null ? 'damaged' : decodeMark(value, owner);
      if (mark === 'damaged') throw this.#damaged(offset);
      if (mark === 'foreign') throw this.#foreign();
      if (mark !== null) this.state.apply(mark, offset);
    }
    this.#position = decoded.next;
  }

  /** -1: the end, -2: the start. */
  async #offset(timestamp: -1 | -2): Promise<number> {
    const { client, topic, partition } = this.#place;
    return client.retried<number>(this.#attempt('find the ends of'), async () => {
      const { broker } = await client.leader({ topic, partition });
      const asks = [{ topic, partition, timestamp }];
      const [found] = await client.wire.listOffsets(broker, 'read-uncommitted', asks);
      const error = found?.error ?? kafkaErrors.networkException;
      return error === kafkaErrors.none ? { done: found!.offset } : this.#again(error);
    });
  }

  #again(error: number): Outcome<never> {
    const { client, topic } = this.#place;
    return { again: error, forget: () => client.forgetLeaders(topic) };
  }

  #attempt(what: string): { readonly what: string; readonly at: string } {
    const { client, topic } = this.#place;
    return { what: `${what} the range log in the topic "${topic}"`, at: client.wire.description };
  }

  #foreign(): StreamError {
    const { topic, owner } = this.#place;
    return storageError({
      code: 'range-log-conflict',
      message:
        `could not use the topic "${topic}" for the range log of "${owner.pipeline}": another ` +
        'pipeline logs there',
      hint: 'give each pipeline a topic of its own: `rangeLog: { kafka: { …, topic } }`',
      fields: { topic, pipeline: owner.pipeline },
    });
  }

  #damaged(offset: number): StreamError {
    const { topic, partition } = this.#place;
    return storageError({
      code: 'range-log-damaged',
      message:
        `could not read the range log in the topic "${topic}": offset ${offset} of partition ` +
        `${partition} holds something else`,
      hint: 'nobody but the engine may write to this topic: give the log one of its own',
      fields: { topic, partition, offset },
    });
  }
}

function asked({ topic, partition }: TopicPartition, leader: Leader, offset: number) {
  const { topicId, epoch } = leader;
  return { topic, partition, topicId, leaderEpoch: epoch, offset, bytesMax: fetchBytesMax };
}
