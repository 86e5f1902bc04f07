// Reads ranges of one partition again, by fetches of its own, so that readers are not disturbed.

import type { StreamError } from '../../base/stream-error.ts';
import type { SourceReplayer } from '../../ports/source.ts';
import type { RowPlaces, SourceChunk, SourceData, SourcePiece } from '../../ports/source-chunk.ts';
import type { FetchedPartition, Isolation } from '../../ports/kafka-wire.ts';
import type { RowObject } from '../../schema/data-type.ts';
import { rangeGone, rangeRemoved } from '../range-gone.ts';
import { kafkaErrors } from './error-codes.ts';
import type { FetchBounds } from './fetch-loop.ts';
import { endOfLog, findOffsets, startOfLog } from './find-offsets.ts';
import type { KafkaClient, Outcome } from './kafka-client.ts';
import { isWireFailure } from './kafka-errors.ts';
import { nextOffset } from './kafka-reader.ts';
import { ReplayAnswer } from './replay-answer.ts';
import type { OnRetention } from './kafka-reader.ts';
import type { RecordStream } from './record-stream.ts';
import { originOf } from './record-stream.ts';
import { topicRecreated } from './source-errors.ts';

export type KafkaReplayerOptions = {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly client: KafkaClient;
  readonly isolation: Isolation;
  readonly bounds: FetchBounds;
  readonly start: number;
  readonly onRetention: OnRetention;
  readonly onRetentionAtStart: OnRetention;
  readonly streamFrom: (position: number) => RecordStream;
  /** Waits for what is needed to decode the records. */
  readonly prepare: (records: Uint8Array) => Promise<void>;
  readonly onClose: () => Promise<void>;
};

/** The range was read before, so the broker has it: it need not wait. */
const waitMs = 100;

export class KafkaReplayer implements SourceReplayer {
  readonly #options: KafkaReplayerOptions;
  #closed = false;
  #turn: Promise<unknown> = Promise.resolve();
  /** The last one. A micro-batch's range is small, and an answer holds those of many. */
  #answer: ReplayAnswer | null = null;

  constructor(options: KafkaReplayerOptions) {
    this.#options = options;
  }

  /** One after the other: ranges that follow each other come out of one answer. */
  read(from: number, to: number): Promise<SourceChunk> {
    const chunk = this.#turn.then(() => this.#read(from, to));
    this.#turn = chunk.catch(() => {});
    return chunk;
  }

  async #read(from: number, to: number): Promise<SourceChunk> {
    const stream = this.#options.streamFrom(from);
    const gathered: SourceData[] = [];
    let offset = from;
    while (stream.position < to) {
      const answer = await this.#answerAt(offset, to);
      if (answer === null) {
        offset = Math.min(to, await this.#first(offset, to));
        stream.position = offset;
        continue;
      }
      const records = answer.copyOf(offset, to);
      offset = answer.next;
      await this.#options.prepare(records);
      stream.push({ records, aborted: answer.aborted });
      gathered.push(stream.take(Number.POSITIVE_INFINITY, to).data);
    }
    return { from, to, ended: false, data: together(gathered) };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#options.onClose();
  }

  async #answerAt(offset: number, to: number): Promise<ReplayAnswer | null> {
    if (this.#answer?.covers(offset) === true) return this.#answer;
    const fetched = await this.#fetch(offset, to);
    if (fetched === null) return null;
    this.#answer?.release();
    this.#answer = new ReplayAnswer(fetched, offset);
    return this.#answer;
  }

  /** Null: the offset is not there. */
  #fetch(offset: number, to: number): Promise<FetchedPartition | null> {
    const { client, topic, topicId, partition, isolation, bounds } = this.#options;
    const at = client.wire.description;
    const attempt = { what: `read ${originOf(this.#options)}, from offset ${offset} again`, at };
    const forget = (): void => client.forgetLeaders(topic);
    return client.retried(attempt, async (): Promise<Outcome<FetchedPartition | null>> => {
      const leader = await client.leader({ topic, partition });
      if (leader.topicId !== topicId) throw topicRecreated({ topic }, leader.topicId);
      const asked = { topic, topicId, partition, leaderEpoch: leader.epoch, offset };
      const request = { waitMs, bytesMin: 1, bytesMax: bounds.answerBytesMax, isolation };
      const bytesMax = bounds.partitionBytesMax;
      let answer: FetchedPartition | undefined;
      try {
        const partitions = [{ ...asked, bytesMax }];
        [answer] = await client.wire.fetchRecords(leader.broker, { ...request, partitions });
      } catch (error) {
        if (!isWireFailure(error)) throw error;
        return { again: error, forget };
      }
      const code = answer?.error ?? kafkaErrors.networkException;
      if (code === kafkaErrors.offsetOutOfRange) return { done: null };
      if (code !== kafkaErrors.none) return { again: code, forget };
      const isShort = nextOffset(answer!.records, offset) === offset;
      if (!isShort) return { done: answer! };
      // A broker that has just come to lead does not show all of it yet.
      if (Math.max(answer!.highWatermark, answer!.lastStableOffset) >= to) {
        return { again: kafkaErrors.offsetNotAvailable };
      }
      return { again: kafkaErrors.offsetNotAvailable, forget };
    });
  }

  /** Where what is left of the range begins, where a gap is permitted. */
  async #first(offset: number, to: number): Promise<number> {
    const { client, topic, partition, isolation, start, onRetention } = this.#options;
    const { onRetentionAtStart } = this.#options;
    const [first] = await findOffsets(client, isolation, [
      { topic, partition, timestamp: startOfLog },
    ]);
    const policy = offset === start ? onRetentionAtStart : onRetention;
    if (first! <= offset) throw await this.#endsBefore(to);
    if (policy === 'fail') {
      throw rangeRemoved(originOf(this.#options), { offset, first: first! });
    }
    return first!;
  }

  async #endsBefore(to: number): Promise<StreamError> {
    const { client, topic, partition, isolation } = this.#options;
    const asked = [{ topic, partition, timestamp: endOfLog }];
    const [end] = await findOffsets(client, isolation, asked);
    return rangeGone(originOf(this.#options), { offset: to, size: end! });
  }
}

function together(parts: readonly SourceData[]): SourceData {
  const pieces: SourcePiece[] = [];
  const rows: RowObject[] = [];
  const places: RowPlaces[] = [];
  for (const part of parts) {
    if (part.kind === 'bytes') pieces.push(...part.pieces);
    if (part.kind !== 'rows') continue;
    rows.push(...part.rows);
    places.push(part.places!);
  }
  if (pieces.length > 0) return { kind: 'bytes', pieces };
  const [first] = places;
  if (first === undefined) return { kind: 'none' };
  const offsets = places.flatMap((each) => each.offsets);
  const bad = places.flatMap((each) => each.bad);
  return { kind: 'rows', rows, places: { origin: first.origin, offsets, bad } };
}
