// Reads the segments of one partition ahead of the engine: an asynchronous loop fills slabs and
// `take` hands over whole records out of them, without copying; only a record that straddles two
// slabs is copied.

import type { SourceLag, SourceReader } from '../../ports/source.ts';
import type { SourceChunk, SourcePiece } from '../../ports/source-chunk.ts';
import { openFeed } from './byte-feed.ts';
import type { ByteFeed } from './byte-feed.ts';
import { fileError } from './file-errors.ts';
import { readHeader } from './file-header.ts';
import type { FileSegment } from './file-layout.ts';
import { firstRecordEnd } from './record-cut.ts';
import type { RecordFormat } from './record-cut.ts';
import { SegmentFiller } from './segment-filler.ts';
import type { Found } from './segment-filler.ts';
import { SlabPool } from './slab-pool.ts';
import type { Slab } from './slab-pool.ts';

/**
 * A take of 4 MB empties two of 2 MB. Those of two takes must hold, those of the next are ready,
 * and two are being filled: with four in all, a run at 10 ms intervals waited for its reader.
 */
export const slabsKept = 8;
const lineFeed = 10;

export type FileReaderOptions = {
  readonly segments: readonly FileSegment[];
  readonly format: RecordFormat;
  /** The first record of every file names its columns. */
  readonly hasHeader: boolean;
  readonly follow: boolean;
  readonly slabBytes: number;
  /** Offset in the partition of the first record to give. Absent: at the start. */
  readonly from?: number;
};

/** Records that wait to be taken. */
type Block = Found & {
  /** Offset in the partition of the file's byte 0. */
  readonly fileOffset: number;
};

export class FileReader implements SourceReader {
  readonly #options: FileReaderOptions;
  readonly #pool: SlabPool;
  readonly #filling: Promise<void>;
  #blocks: Block[] = [];
  #takes = 0;
  #offset: number;
  #bytesTaken: number;
  #feed: ByteFeed | null = null;
  #error: Error | null = null;
  #filled = false;
  #finished = false;
  #listener: (() => void) | null = null;
  #onTaken: (() => void) | null = null;

  constructor(options: FileReaderOptions) {
    this.#options = options;
    this.#pool = new SlabPool(options.slabBytes, slabsKept);
    const start = options.segments.length === 0 ? 0 : options.segments[0].from;
    this.#offset = options.from ?? start;
    this.#bytesTaken = this.#offset - start;
    this.#filling = this.#fill();
  }

  take(bytesMax: number): SourceChunk {
    this.#pool.recycle(++this.#takes);
    const from = this.#offset;
    if (this.#finished) return { from, to: from, ended: true, data: { kind: 'none' } };
    if (this.#blocks.length === 0 && this.#error !== null) throw this.#error;
    const pieces: SourcePiece[] = [];
    let bytes = 0;
    while (this.#blocks.length > 0 && bytes < bytesMax) {
      const block = this.#blocks[0];
      const end = cutBlock(block, bytesMax - bytes, this.#options.format);
      if (bytes > 0 && bytes + end - block.start > bytesMax) break;
      bytes += end - block.start;
      pieces.push(this.#takeTo(block, end));
    }
    this.#bytesTaken += bytes;
    this.#onTaken?.();
    const ended = this.#isDrained();
    if (bytes === 0) return { from, to: this.#offset, ended, data: { kind: 'none' } };
    return { from, to: this.#offset, ended, data: { kind: 'bytes', pieces } };
  }

  ready(): boolean {
    return this.#blocks.length > 0 || this.#filled || this.#finished || this.#error !== null;
  }

  onReady(listener: () => void): void {
    this.#listener = listener;
  }

  finish(): void {
    this.#turnReady(() => {
      this.#finished = true;
    });
    this.#feed?.stop();
    this.#onTaken?.();
  }

  lag(): SourceLag {
    if (this.#isDrained()) return { records: 0, bytes: 0, ms: null };
    return { records: null, bytes: this.#bytesLeft(), ms: null };
  }

  async close(): Promise<void> {
    this.finish();
    await this.#filling;
  }

  #takeTo(block: Block, end: number): SourcePiece {
    const { slab, start, base, columns, path: origin } = block;
    slab.lastTake = this.#takes;
    this.#offset = block.fileOffset + base + end;
    if (end < block.end) this.#blocks[0] = { ...block, start: end };
    else this.#blocks.shift();
    slab.queued = this.#blocks.some((other) => other.slab === slab);
    return { bytes: slab.bytes, start, end, origin, originOffset: base + start, columns };
  }

  #isDrained(): boolean {
    return this.#finished || (this.#filled && this.#blocks.length === 0);
  }

  #bytesLeft(): number | null {
    const { segments, follow } = this.#options;
    if (follow) {
      const size = this.#feed?.size() ?? null;
      return size === null ? null : size - this.#offset;
    }
    let total = 0;
    for (const { from, to } of segments) {
      if (to === null) return null;
      total += to - from;
    }
    return Math.max(0, total - this.#bytesTaken);
  }

  async #fill(): Promise<void> {
    let fileOffset = 0;
    for (const segment of this.#options.segments) {
      if (this.#finished) break;
      try {
        fileOffset += await this.#fillFrom(segment, fileOffset);
      } catch (error) {
        this.#turnReady(() => {
          this.#error = readError(segment.path, error);
        });
        return;
      }
    }
    this.#turnReady(() => {
      this.#filled = true;
    });
  }

  /** Gives where reading ended in the file. */
  async #fillFrom(whole: FileSegment, fileOffset: number): Promise<number> {
    const begin = (this.#options.from ?? 0) - fileOffset;
    if (whole.size !== null && begin > 0 && begin >= whole.size) return whole.size;
    const segment = { ...whole, from: Math.max(whole.from, begin) };
    // One byte more in front shows whether a record starts right at the range.
    const position = Math.max(0, segment.from - 1);
    const { format, follow } = this.#options;
    const hasHeader = this.#options.hasHeader && segment.from === 0;
    const isBehindHeader = this.#options.hasHeader && !hasHeader;
    const columns = isBehindHeader ? (await readHeader(segment, format)).columns : null;
    const feed = await openFeed(segment, { position, follow });
    if (feed.position < position) {
      await feed.close();
      return feed.position;
    }
    this.#feed = feed;
    const slab = await this.#nextSlab(0);
    const filler = new SegmentFiller({ segment, format, hasHeader, columns, position, slab });
    try {
      while (!this.#finished && !filler.done) {
        const count = await feed.read(filler.slab.bytes, filler.filled);
        if (this.#finished) break;
        filler.filled += count;
        const found = filler.find(count === 0);
        if (found !== null) this.#handOver({ ...found, fileOffset });
        if (count === 0) break;
        if (filler.filled < filler.slab.bytes.length) continue;
        filler.moveTo(await this.#nextSlab(filler.bytesNeeded()));
      }
    } finally {
      filler.slab.filling = false;
      this.#feed = null;
      await feed.close();
    }
    return filler.position;
  }

  /** Waits until a slab is free. Where nothing is left to take, more are made: it must go on. */
  async #nextSlab(bytesMin: number): Promise<Slab> {
    while (!this.#pool.hasFree() && this.#blocks.length > 0 && !this.#finished) {
      await new Promise<void>((resolve) => {
        this.#onTaken = resolve;
      });
    }
    this.#onTaken = null;
    return this.#pool.get(bytesMin);
  }

  // What follows on a block in its slab is taken together with it.
  #handOver(block: Block): void {
    const last = this.#blocks.at(-1);
    block.slab.queued = true;
    if (last !== undefined && last.slab === block.slab && last.end === block.start) {
      const inner = joinCuts(last, block);
      this.#blocks[this.#blocks.length - 1] = { ...last, end: block.end, inner };
      return;
    }
    this.#turnReady(() => this.#blocks.push(block));
  }

  #turnReady(change: () => void): void {
    const wasReady = this.ready();
    change();
    if (!wasReady) this.#listener?.();
  }
}

function joinCuts(first: Block, second: Block): readonly number[] | null {
  if (first.inner === null && second.inner === null) return null;
  return [...(first.inner ?? []), first.end, ...(second.inner ?? [])];
}

/** Where to end a piece of about `bytesMax` bytes: between records, behind the first at least. */
function cutBlock(block: Block, bytesMax: number, format: RecordFormat): number {
  const { slab, start, end, inner } = block;
  if (end - start <= bytesMax) return end;
  const limit = start + Math.max(1, bytesMax);
  if (inner === null) {
    const last = slab.bytes.lastIndexOf(lineFeed, limit - 1);
    if (last >= start) return last + 1;
  } else {
    const fitting = inner.findLast((cut) => cut > start && cut <= limit);
    if (fitting !== undefined) return fitting;
  }
  const next = firstRecordEnd(slab.bytes, { start, end }, format);
  return next === -1 ? end : next;
}

/** Mistakes of our own stay what they are. */
function readError(path: string, cause: unknown): Error {
  if (cause instanceof Error && cause.name === 'AssertionError') return cause;
  return fileError('read file', path === '-' ? 'standard input' : path, cause);
}
