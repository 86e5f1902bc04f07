// Reads a partition of a range log's topic from its start on, and keeps what follows from it.

import type { StreamError } from '../../base/stream-error.ts';
import { decodeFrame } from '../../control/storage/range-frame.ts';
import { storageError } from '../../control/storage/storage-errors.ts';
import type { KafkaCodecs, TopicPartition } from '../../ports/kafka-wire.ts';
import type { LoggedRange } from '../../ports/range-log.ts';
import { kafkaErrors } from './error-codes.ts';
import type { KafkaClient } from './kafka-client.ts';
import type { LogMark, LogOwner } from './log-marks.ts';
import { LogState, decodeMark } from './log-marks.ts';
import { endOfOwn, fetchOwn, startOfOwn } from './own-topic.ts';
import { batchHeadAt, batchHeadBytes, crcFromByte } from './record-batch.ts';
import { RecordWalk } from './record-walk.ts';

export type LogPlace = TopicPartition & {
  readonly client: KafkaClient;
  readonly owner: LogOwner;
  readonly codecs: KafkaCodecs;
  readonly keepsRanges: boolean;
};

/** Some hundred records: others run on this thread, and wait while they are decoded. */
const fetchBytesMax = 64 * 1024;
const waitMs = 500;

export class LogScan {
  readonly #place: LogPlace;
  /** What is read next; -1: nothing was read. */
  #position = -1;
  state: LogState;

  constructor(place: LogPlace) {
    this.#place = place;
    this.state = new LogState(place);
  }

  /** Reads all that was there when it was called. */
  async toEnd(): Promise<void> {
    const { client } = this.#place;
    await this.through((await endOfOwn(client, this.#place)) - 1);
  }

  /** A mark that was added here: false, if something unread stands in front of it. */
  takeNext(mark: LogMark, offset: number): boolean {
    if (this.#position !== offset) return false;
    this.state.apply(mark, offset);
    this.#position = offset + 1;
    return true;
  }

  /** Of what was read and counts. */
  rangesAfter(batch: number): readonly LoggedRange[] {
    this.decode(batch);
    const after = this.state.ranges.filter(({ throughBatch }) => throughBatch > batch);
    return after.flatMap(({ records }) => records ?? []);
  }

  /**
   * Little is left to do for a driver that must know when it has done this now and then. What lies
   * before is kept as it came: it takes less room.
   */
  decode(after: number): void {
    for (const ranges of this.state.ranges) {
      if (ranges.throughBatch <= after) ranges.records = null;
      if (ranges.throughBatch <= after || ranges.records !== null) continue;
      const decoded = decodeFrame(ranges.frame);
      if (decoded?.frame.kind !== 'records') throw this.#damaged(ranges.offset);
      ranges.records = decoded.frame.records;
    }
  }

  /** Reads up to an offset that is known to be in the log. */
  async through(offset: number): Promise<void> {
    if (this.#position < 0) await this.#restart();
    while (this.#position <= offset) await this.#more();
  }

  /** What was deleted is not known here any more: all begins again with what is left. */
  async #restart(): Promise<void> {
    this.#position = await startOfOwn(this.#place.client, this.#place);
    this.state = new LogState(this.#place);
  }

  async #more(): Promise<void> {
    const { client, topic, owner, codecs } = this.#place;
    const from = this.#position;
    const found = await fetchOwn(client, this.#place, {
      what: `read the range log in the topic "${topic}"`,
      offset: from,
      waitMs,
      bytesMax: fetchBytesMax,
      expected: [kafkaErrors.offsetOutOfRange],
    });
    if (found.error === kafkaErrors.offsetOutOfRange) return this.#restart();
    try {
      this.#position = readPlain(found.records, from, codecs, (offset, value) => {
        const mark = value === null ? 'damaged' : decodeMark(value, owner);
        if (mark === 'damaged') throw this.#damaged(offset);
        if (mark === 'foreign') throw this.#foreign();
        if (mark !== null) this.state.apply(mark, offset);
      });
    } catch (error) {
      throw error instanceof RangeError ? this.#damaged(from) : error;
    }
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

/**
 * Gives each record from an offset on, and the offset behind the last whole batch. Throws a
 * RangeError where one is damaged, or not as the log writes them.
 */
function readPlain(
  bytes: Uint8Array,
  fromOffset: number,
  codecs: KafkaCodecs,
  onRecord: (offset: number, value: Uint8Array | null) => void,
): number {
  let next = fromOffset;
  for (let at = 0; ;) {
    const head = batchHeadAt(bytes, at);
    if (head === null) return next;
    const to = at + head.bytes;
    const isWhole = codecs.crc32c(bytes, at + crcFromByte, to) === head.crc;
    if (!isWhole || head.magic !== 2 || head.compression !== 'none') {
      throw new RangeError('a batch is not one of the log');
    }
    const { baseOffset, records: count } = head;
    const walk = new RecordWalk(bytes, { from: at + batchHeadBytes, to, count, baseOffset });
    while (!head.control && walk.next()) {
      const { start, end } = walk.value;
      if (walk.offset >= fromOffset) {
        onRecord(walk.offset, end < 0 ? null : bytes.slice(start, end));
      }
    }
    next = Math.max(next, baseOffset + head.lastOffsetDelta + 1);
    at = to;
  }
}
