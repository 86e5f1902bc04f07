// Finds the whole records of one file segment in the bytes that its feed delivers: where the first
// record of a range starts, the header, the last record, and what straddles two slabs. Reads
// nothing by itself.

import { StreamError } from '../../base/stream-error.ts';
import type { FileSegment } from './file-layout.ts';
import { columnsOf } from './file-header.ts';
import { findCuts, firstRecordEnd, markBytes } from './record-cut.ts';
import type { RecordFormat } from './record-cut.ts';
import type { Slab } from './slab-pool.ts';

/** A longer record is taken for damage: a missing line end, or a quote that never closes. */
export const recordBytesMax = 16 << 20;

const lineFeed = 10;

/** Whole records, [start, end) of the slab, whose byte 0 is at `base` of its file. */
export type Found = {
  readonly slab: Slab;
  readonly start: number;
  readonly end: number;
  readonly base: number;
  readonly path: string;
  readonly columns: readonly string[] | null;
  /** See `Cuts.inner`. */
  readonly inner: readonly number[] | null;
};

export type FillerOptions = {
  readonly segment: FileSegment;
  readonly format: RecordFormat;
  /** The first record names the columns. */
  readonly hasHeader: boolean;
  /** What a header named that lies before the range. */
  readonly columns: readonly string[] | null;
  /** Where in the file the first byte comes from. */
  readonly position: number;
  readonly slab: Slab;
};

export class SegmentFiller {
  readonly #segment: FileSegment;
  readonly #format: RecordFormat;
  readonly #path: string;
  /** The first record that starts in the range is not found yet. */
  #seeking: boolean;
  #headerPending: boolean;
  #columns: readonly string[] | null;
  #base: number;
  /** The first record that was not found whole. */
  #start = 0;
  slab: Slab;
  /** Bytes of the slab that are filled. */
  filled = 0;
  /** The range's last record was found. */
  done = false;

  constructor(options: FillerOptions) {
    this.#segment = options.segment;
    this.#format = options.format;
    this.#path = options.segment.path === '-' ? 'standard input' : options.segment.path;
    this.#seeking = options.segment.from > 0;
    this.#headerPending = options.hasHeader;
    this.#columns = options.columns;
    this.#base = options.position;
    this.slab = options.slab;
  }

  /** Offset in the file of the next byte to read. */
  get position(): number {
    return this.#base + this.filled;
  }

  /** The whole records that are new, or null; at the end of the file the rest counts as one. */
  find(atEnd: boolean): Found | null {
    if (this.#seeking && !this.#seek()) return null;
    if (this.position > 0 && this.#base + this.#start === 0) this.#skipMark();
    if (this.#headerPending && !this.#readHeader(atEnd)) return null;
    const start = this.#start;
    const cuts = findCuts(this.slab.bytes, { start, end: this.filled }, this.#format);
    const end = this.#rangeEnd() ?? (atEnd ? this.filled : cuts.last);
    if (end === start) return null;
    this.#start = end;
    const { slab } = this;
    const place = { base: this.#base, path: this.#path, columns: this.#columns };
    return { slab, start, end, inner: cuts.inner, ...place };
  }

  /** Bytes that a new slab must have: the open record's, and as many more. */
  bytesNeeded(): number {
    const recordBytes = this.filled - this.#start;
    if (recordBytes > recordBytesMax) throw this.#recordTooLong();
    return Math.min(recordBytes * 2, recordBytesMax + 1);
  }

  /** Goes on in a fresh slab, with the open record. */
  moveTo(slab: Slab): void {
    slab.bytes.set(this.slab.bytes.subarray(this.#start, this.filled));
    this.slab.filling = false;
    this.slab = slab;
    this.#base += this.#start;
    this.filled -= this.#start;
    this.#start = 0;
  }

  #seek(): boolean {
    const lineEnd = this.slab.bytes.subarray(0, this.filled).indexOf(lineFeed);
    const found = lineEnd === -1 ? this.filled : lineEnd + 1;
    const { to } = this.#segment;
    if (to !== null && this.#base + found >= to) this.done = true;
    this.#start = found;
    if (lineEnd === -1 || this.done) return false;
    this.#seeking = false;
    return true;
  }

  #skipMark(): void {
    this.#start = markBytes(this.slab.bytes.subarray(0, this.filled));
  }

  #readHeader(atEnd: boolean): boolean {
    const { bytes } = this.slab;
    const found = firstRecordEnd(bytes, { start: this.#start, end: this.filled }, this.#format);
    if (found === -1 && !atEnd) return false;
    const end = found === -1 ? this.filled : found;
    this.#columns = columnsOf(bytes.subarray(this.#start, end), this.#format, this.#path);
    this.#headerPending = false;
    this.#start = end;
    return true;
  }

  /** The end of the last record of a range that ends within the file, once it is there. */
  #rangeEnd(): number | null {
    const { to, size } = this.#segment;
    if (to === null || to === size) return null;
    const at = to - 1 - this.#base;
    if (at >= this.filled) return null;
    const from = Math.max(at, this.#start);
    const lineEnd = this.slab.bytes.subarray(0, this.filled).indexOf(lineFeed, from);
    if (lineEnd === -1) return null;
    this.done = true;
    return lineEnd + 1;
  }

  #recordTooLong(): StreamError {
    const offset = this.#base + this.#start;
    const quote = this.#format.kind === 'csv' ? ' or closing quote' : '';
    return new StreamError({
      code: 'record-too-long',
      message: `could not read file "${this.#path}": the record at byte ${offset} does not end`,
      hint: `look for a missing line end${quote}; a record has at most ${recordBytesMax} bytes`,
      fields: { file: this.#path, offset, recordBytesMax },
    });
  }
}
