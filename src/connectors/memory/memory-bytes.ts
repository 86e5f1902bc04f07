// JSON-lines bytes in memory, read in a loop without copying: the input of benchmarks that must not
// measure a source. A partition's offset is a byte count over all rounds.

import { assert } from '../../base/assert.ts';
import { StreamError } from '../../base/stream-error.ts';
import type {
  Source,
  SourceContext,
  SourceLag,
  SourceReader,
  SourceReplayer,
} from '../../ports/source.ts';
import type { SourceChunk, SourcePiece } from '../../ports/source-chunk.ts';
import type { TypedSource } from '../../ports/typed.ts';
import type { JsonValue } from '../../schema/data-type.ts';
import type { Schema } from '../../schema/schema.ts';
import type { Columns } from '../../schema/value-type.ts';
import { rangeGone } from '../range-gone.ts';

const newline = 10;

export type MemoryBytesOptions = {
  /**
   * Whole records, each with its line end. One ring is split among the partitions at line ends; a
   * function is called where a partition opens and gives that partition's own ring, so that every
   * worker makes only its share.
   */
  readonly ring: Uint8Array | ((partition: number, partitionCount: number) => Uint8Array);
  /** Default: one a worker. */
  readonly partitions?: number;
  /** How often the ring is read. Default 1. */
  readonly times?: number;
  /** Records in one round of all partitions; only for `lag`. */
  readonly records?: number;
};

/**
 * JSON lines from memory, `times` times over, handed to the engine without a copy. A run rejects
 * with code `ring-truncated` when a ring's last record has no line end.
 */
export function memoryBytes<C extends Columns>(
  options: MemoryBytesOptions & { readonly schema: Schema<C> },
): TypedSource<C> {
  return { source: new MemoryBytesSource(options), schema: options.schema };
}

export class MemoryBytesSource implements Source {
  readonly kind = 'memory';
  readonly description: string;
  readonly format = { kind: 'json-lines' } as const;
  readonly replayable = true;
  readonly #options: MemoryBytesOptions;

  constructor(options: MemoryBytesOptions) {
    this.#options = options;
    const times = options.times ?? 1;
    const size = typeof options.ring === 'function' ? 'made' : `${options.ring.length}`;
    this.description = `${size} bytes, ${times} times`;
  }

  /** How many partitions share the ring: that must not change with the number of workers. */
  layout(context: SourceContext): Promise<JsonValue> {
    return this.partitions(context);
  }

  partitions({ layout, workerCount }: SourceContext): Promise<number> {
    if (typeof layout === 'number') return Promise.resolve(layout);
    return Promise.resolve(this.#options.partitions ?? workerCount);
  }

  async open(partition: number, context: SourceContext): Promise<SourceReader> {
    const { times = 1, records } = this.#options;
    const count = await this.partitions(context);
    const bytes = this.#ringOf(partition, count);
    const { from = 0 } = context;
    if (from > bytes.length * times) {
      throw rangeGone(originOf(partition), { offset: from, size: bytes.length * times });
    }
    const recordBytes = records === undefined ? null : (bytes.length * count) / records;
    return new MemoryBytesReader(bytes, { times, recordBytes, partition, from });
  }

  async replayer(partition: number, context: SourceContext): Promise<SourceReplayer> {
    const { times = 1 } = this.#options;
    const ring = this.#ringOf(partition, await this.partitions(context));
    const read = async (from: number, to: number): Promise<SourceChunk> => {
      if (to > ring.length * times) {
        throw rangeGone(originOf(partition), { offset: to, size: ring.length * times });
      }
      if (from === to) return { from, to, ended: false, data: { kind: 'none' } };
      const pieces = piecesOf(ring, { from, to, origin: originOf(partition) });
      return { from, to, ended: false, data: { kind: 'bytes', pieces } };
    };
    return { read, close: () => Promise.resolve() };
  }

  #ringOf(partition: number, count: number): Uint8Array {
    const { ring } = this.#options;
    const bytes =
      typeof ring === 'function' ? ring(partition, count) : share(ring, partition, count);
    if (bytes.length > 0 && bytes[bytes.length - 1] !== newline) {
      throw new StreamError({
        code: 'ring-truncated',
        message: `could not loop the bytes of partition ${partition}: no line end at the end`,
        hint: 'end every record with a newline, the last one too',
        fields: { partition, bytes: bytes.length },
      });
    }
    return bytes;
  }
}

/** One for each round. */
function piecesOf(
  bytes: Uint8Array,
  range: { readonly from: number; readonly to: number; readonly origin: string },
): SourcePiece[] {
  const pieces: SourcePiece[] = [];
  for (let at = range.from; at < range.to;) {
    const start = at % bytes.length;
    const end = Math.min(bytes.length, start + range.to - at);
    pieces.push({ bytes, start, end, origin: range.origin, originOffset: start, columns: null });
    at += end - start;
  }
  return pieces;
}

function originOf(partition: number): string {
  return `memory, partition ${partition}`;
}

/** The records that start in the p-th of `count` equal parts. */
function share(ring: Uint8Array, partition: number, count: number): Uint8Array {
  const start = lineStartFrom(ring, Math.floor((ring.length * partition) / count));
  const end = lineStartFrom(ring, Math.floor((ring.length * (partition + 1)) / count));
  return ring.subarray(start, end);
}

function lineStartFrom(bytes: Uint8Array, at: number): number {
  if (at === 0) return 0;
  const end = bytes.indexOf(newline, at - 1);
  return end === -1 ? bytes.length : end + 1;
}

type ReaderOptions = {
  readonly times: number;
  readonly recordBytes: number | null;
  readonly partition: number;
  readonly from: number;
};

class MemoryBytesReader implements SourceReader {
  readonly #bytes: Uint8Array;
  readonly #origin: string;
  readonly #recordBytes: number | null;
  readonly #total: number;
  #taken: number;
  #finished = false;

  constructor(bytes: Uint8Array, options: ReaderOptions) {
    this.#bytes = bytes;
    this.#origin = originOf(options.partition);
    this.#taken = options.from;
    this.#recordBytes = options.recordBytes;
    this.#total = bytes.length * options.times;
  }

  take(bytesMax: number): SourceChunk {
    const from = this.#taken;
    const ended = this.#finished || from === this.#total;
    if (ended) return { from, to: from, ended, data: { kind: 'none' } };
    const start = from % this.#bytes.length;
    const end = this.#cut(start, bytesMax);
    assert(end > start, 'a take from a ring gives a record');
    const to = from + end - start;
    this.#taken = to;
    const piece = { bytes: this.#bytes, start, end, origin: this.#origin, originOffset: start };
    const pieces = [{ ...piece, columns: null }];
    return { from, to, ended: to === this.#total, data: { kind: 'bytes', pieces } };
  }

  // To the ring's end at most: the next round starts with a chunk of its own.
  #cut(start: number, bytesMax: number): number {
    if (start + bytesMax >= this.#bytes.length) return this.#bytes.length;
    const last = this.#bytes.lastIndexOf(newline, Math.max(start, start + bytesMax - 1));
    return last >= start ? last + 1 : this.#bytes.indexOf(newline, start) + 1;
  }

  ready(): boolean {
    return true;
  }

  // It is ready from the start, so it never turns so.
  onReady(_listener: () => void): void {}

  finish(): void {
    this.#finished = true;
  }

  lag(): SourceLag {
    const bytes = this.#total - this.#taken;
    const records = this.#recordBytes === null ? null : Math.round(bytes / this.#recordBytes);
    return { records, bytes, ms: null };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
