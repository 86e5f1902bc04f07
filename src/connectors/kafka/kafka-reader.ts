// Reads one partition ahead of the engine, into bounded memory: answers are kept as they came until
// their records are taken.

import type { SourceLag, SourceReader } from '../../ports/source.ts';
import type { SourceChunk } from '../../ports/source-chunk.ts';
import type {
  FetchedPartition,
  Isolation,
  KafkaCodecs,
  KafkaPlatform,
} from '../../ports/kafka-wire.ts';
import type { FetchHub } from './fetch-hub.ts';
import type { Subscriber } from './fetch-loop.ts';
import { endOfLog, findOffsets, startOfLog } from './find-offsets.ts';
import type { KafkaClient } from './kafka-client.ts';
import { batchHeadAt, batchHeadBytes } from './record-batch.ts';
import type { FetchedBlock, RecordStream } from './record-stream.ts';
import type { RowDecoder } from './row-decoder.ts';
import { offsetOutOfRange } from './source-errors.ts';

export type OnRetention = 'fail' | 'earliest' | 'latest';

export type KafkaReaderOptions = {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly client: KafkaClient;
  readonly hub: FetchHub;
  readonly platform: Pick<KafkaPlatform, 'codecs' | 'nowMs'>;
  readonly stream: RecordStream;
  /** Waits for schemas before values are decoded; null: nothing to wait for. */
  readonly prepares: RowDecoder | null;
  readonly isolation: Isolation;
  readonly bufferBytesMax: number;
  /** Where the partition begins in this run; nothing was read before it. */
  readonly start: number;
  /** Where it ends in this run; Infinity: never. */
  readonly end: number;
  readonly onRetention: OnRetention;
  /** What the reader may do about it where nothing was read yet. */
  readonly onRetentionAtStart: OnRetention;
  readonly onTaken: (position: number) => void;
  readonly onClose: () => Promise<void>;
};

/** Of a slice that keeps an answer of many partitions in memory: at most so many times its size. */
const pinnedRatioMax = 4;

export class KafkaReader implements SourceReader, Subscriber {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  fetchOffset: number;
  readonly #options: KafkaReaderOptions;
  readonly #stream: RecordStream;
  #highWatermark: number | null = null;
  /** Where to go on over a gap, once what is buffered has been taken. */
  #jump: number | null = null;
  #preparing = false;
  #error: Error | null = null;
  #finished = false;
  #closed = false;
  #listener: (() => void) | null = null;

  constructor(options: KafkaReaderOptions) {
    this.#options = options;
    this.topic = options.topic;
    this.topicId = options.topicId;
    this.partition = options.partition;
    this.#stream = options.stream;
    this.fetchOffset = options.stream.position;
    if (!this.#isAtEnd()) options.hub.join(this);
  }

  take(bytesMax: number): SourceChunk {
    const stream = this.#stream;
    const from = stream.position;
    if (this.#finished) return { from, to: from, ended: true, data: { kind: 'none' } };
    if (stream.isEmpty) {
      if (this.#jump !== null) return this.#takeJump(this.#jump);
      if (this.#error !== null) throw this.#error;
    }
    const { to, data } = stream.take(bytesMax, this.#options.end);
    if (to > from) this.#options.onTaken(to);
    this.#options.hub.poke(this);
    return { from, to, ended: this.#isAtEnd(), data };
  }

  ready(): boolean {
    return (
      !this.#stream.isEmpty ||
      this.#finished ||
      this.#error !== null ||
      this.#jump !== null ||
      this.#isAtEnd()
    );
  }

  onReady(listener: () => void): void {
    this.#listener = listener;
  }

  finish(): void {
    this.#turnReady(() => {
      this.#finished = true;
    });
    this.#options.hub.leave(this);
  }

  lag(): SourceLag {
    const records = this.#recordsBehind();
    const oldestMs = this.#stream.oldestMs();
    const ms = oldestMs === null ? null : Math.max(0, this.#options.platform.nowMs() - oldestMs);
    return { records, bytes: null, ms };
  }

  async close(): Promise<void> {
    this.finish();
    if (this.#closed) return;
    this.#closed = true;
    await this.#options.onClose();
  }

  hasRoom(): boolean {
    return !this.#preparing && this.#stream.bufferedBytes < this.#options.bufferBytesMax;
  }

  onFetched({ records, aborted, highWatermark, release }: FetchedPartition): void {
    this.#highWatermark = highWatermark;
    this.#options.hub.settled(this);
    const next = nextOffset(records, this.fetchOffset);
    if (next === this.fetchOffset) return release?.();
    this.fetchOffset = next;
    const block = ownBlock({ records, aborted, ...(release && { release }) });
    if (next >= this.#options.end) this.#options.hub.leave(this);
    const { prepares } = this.#options;
    if (prepares === null) {
      this.#turnReady(() => this.#stream.push(block));
      return;
    }
    this.#preparing = true;
    prepareAll(prepares, block.records, this.#options.platform.codecs)
      .then(() => this.#turnReady(() => this.#stream.push(block)))
      .catch((error: unknown) => this.onFailed(error as Error))
      .finally(() => {
        this.#preparing = false;
        this.#options.hub.poke(this);
      });
  }

  onOutOfRange(): void {
    this.#findRange().catch((error: unknown) => this.onFailed(error as Error));
  }

  onFailed(error: Error): void {
    this.#options.hub.leave(this);
    this.#turnReady(() => {
      this.#error ??= error;
    });
  }

  /** The offset may have been removed, or may be there again after an election. */
  async #findRange(): Promise<void> {
    const { client, isolation, onRetention, onRetentionAtStart, start, end } = this.#options;
    const { topic, partition } = this;
    const [first, last] = await Promise.all(
      [startOfLog, endOfLog].map(async (timestamp) => {
        const [offset] = await findOffsets(client, isolation, [{ topic, partition, timestamp }]);
        return offset!;
      }),
    );
    const offset = this.fetchOffset;
    const policy = offset === start ? onRetentionAtStart : onRetention;
    const isGone = offset < first!;
    if ((isGone && policy === 'fail') || offset > last!) {
      throw offsetOutOfRange({ topic, partition, offset, first: first!, end: last! });
    }
    if (this.#finished) return;
    if (!isGone) return this.#options.hub.join(this);
    const to = Math.min(policy === 'latest' ? last! : first!, end);
    this.#turnReady(() => {
      this.#jump = to;
    });
  }

  /** A gap is a range of its own: it has no records, whenever it is read. */
  #takeJump(to: number): SourceChunk {
    const from = this.#stream.position;
    this.#jump = null;
    this.#stream.position = to;
    this.fetchOffset = to;
    this.#options.onTaken(to);
    if (!this.#isAtEnd()) this.#options.hub.join(this);
    return { from, to, ended: this.#isAtEnd(), data: { kind: 'none' } };
  }

  #isAtEnd(): boolean {
    return this.#stream.position >= this.#options.end;
  }

  #recordsBehind(): number | null {
    const { end } = this.#options;
    const top = this.#highWatermark === null ? null : Math.min(this.#highWatermark, end);
    if (top !== null) return Math.max(0, top - this.#stream.position);
    return this.#isAtEnd() ? 0 : null;
  }

  #turnReady(change: () => void): void {
    const wasReady = this.ready();
    change();
    if (!wasReady && this.ready()) this.#listener?.();
  }
}

/** A small part of an answer is copied, so that it does not keep all of it. */
function ownBlock({ records, aborted, release }: FetchedBlock): FetchedBlock {
  const isSmallPart = records.buffer.byteLength > records.length * pinnedRatioMax;
  if (!isSmallPart) return { records, aborted, ...(release && { release }) };
  const own = records.slice();
  release?.();
  return { records: own, aborted };
}

/** Of all values in all batches, before they are decoded. */
export async function prepareAll(
  decoder: RowDecoder,
  records: Uint8Array,
  codecs: KafkaCodecs,
): Promise<void> {
  for (let at = 0; ;) {
    const head = batchHeadAt(records, at);
    if (head === null) return;
    const from = at + batchHeadBytes;
    const to = at + head.bytes;
    at = to;
    const { compression, control, records: count, baseOffset } = head;
    // What is damaged is reported where it is read.
    if (control || head.magic !== 2 || compression === null) continue;
    const isPlain = compression === 'none';
    const bytes = isPlain ? records : codecs.decompress(compression, records.subarray(from, to));
    const place = isPlain ? { from, to } : { from: 0, to: bytes.length };
    await decoder.prepare(bytes, { ...place, count, baseOffset });
  }
}

/** Behind the last whole batch. */
export function nextOffset(records: Uint8Array, from: number): number {
  let next = from;
  for (let at = 0; ;) {
    const head = batchHeadAt(records, at);
    if (head === null) return next;
    next = Math.max(next, head.baseOffset + head.lastOffsetDelta + 1);
    at += head.bytes;
  }
}
