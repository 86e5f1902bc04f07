// Reads ranges of one partition's files again, by themselves: from the first record that starts in
// the range to its last byte. What is compressed is unpacked from the start for each range.

import type { SourceReplayer } from '../../ports/source.ts';
import type { SourceChunk, SourcePiece } from '../../ports/source-chunk.ts';
import { openFeed } from './byte-feed.ts';
import { requireSame, truncated } from './file-check.ts';
import { fileError } from './file-errors.ts';
import { readHeader } from './file-header.ts';
import type { FileHeader } from './file-header.ts';
import type { FileSegment } from './file-layout.ts';
import { markBytes } from './record-cut.ts';
import type { RecordFormat } from './record-cut.ts';

export type FileReplayerOptions = {
  readonly segments: readonly FileSegment[];
  readonly format: RecordFormat;
  readonly hasHeader: boolean;
};

/** What of one file a range covers: bytes [from, to) of it, at most to its end. */
type Part = { readonly segment: FileSegment; readonly from: number; readonly to: number };

const lineFeed = 10;
const stepBytes = 1 << 20;

export class FileReplayer implements SourceReplayer {
  readonly #options: FileReplayerOptions;
  readonly #headers = new Map<string, FileHeader>();
  readonly #checked = new Set<string>();
  /** Unpacked lengths that were found out, by path. */
  readonly #lengths = new Map<string, number>();

  constructor(options: FileReplayerOptions) {
    this.#options = options;
  }

  async read(from: number, to: number): Promise<SourceChunk> {
    if (from === to) return { from, to, ended: false, data: { kind: 'none' } };
    const pieces: SourcePiece[] = [];
    let fileOffset = 0;
    for (const segment of this.#options.segments) {
      if (fileOffset >= to) break;
      const length = this.#lengthOf(segment);
      if (length === null || from < fileOffset + length) {
        const part = { segment, from: Math.max(0, from - fileOffset), to: to - fileOffset };
        const piece = await this.#readPart(part);
        if (piece !== null) pieces.push(piece);
      }
      fileOffset += this.#lengthOf(segment) ?? Infinity;
    }
    if (pieces.length === 0) return { from, to, ended: false, data: { kind: 'none' } };
    return { from, to, ended: false, data: { kind: 'bytes', pieces } };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Null: not known yet, or the file is the partition's only one. */
  #lengthOf(segment: FileSegment): number | null {
    if (this.#options.segments.length === 1) return null;
    return segment.size ?? this.#lengths.get(segment.path) ?? null;
  }

  async #readPart(part: Part): Promise<SourcePiece | null> {
    const { segment, from } = part;
    const { path } = segment;
    try {
      await this.#requireSame(segment, from);
      const base = Math.max(0, from - 1);
      const bytes = await this.#readBytes({ ...part, from: base });
      const header = this.#options.hasHeader ? await this.#headerOf(segment) : null;
      const start = from === 0 ? (header?.end ?? markBytes(bytes)) : firstRecord(bytes);
      if (start >= bytes.length) return null;
      const columns = header?.columns ?? null;
      const place = { origin: path, originOffset: base + start, columns };
      return { bytes, start, end: bytes.length, ...place };
    } catch (error) {
      throw fileError('read file', path, error);
    }
  }

  /** Once a file: one that is cut later is noticed where it is read. */
  async #requireSame({ path, check }: FileSegment, offset: number): Promise<void> {
    if (check === undefined || this.#checked.has(path)) return;
    await requireSame(path, { check, offset });
    this.#checked.add(path);
  }

  /** To the end of the range, or of the file if others follow. */
  async #readBytes({ segment, from, to }: Part): Promise<Uint8Array> {
    const length = this.#lengthOf(segment);
    const end = length === null ? to : Math.min(to, length);
    const feed = await openFeed({ ...segment, size: end }, { position: from, follow: false });
    let bytes = new Uint8Array(Math.min(end - from, stepBytes));
    let filled = 0;
    try {
      while (from + filled < end) {
        if (filled === bytes.length) bytes = longer(bytes, end - from);
        const count = feed.position < from ? 0 : await feed.read(bytes, filled);
        if (count === 0) break;
        filled += count;
      }
    } finally {
      await feed.close();
    }
    if (from + filled < end) this.#endsAt(segment, { offset: end, size: feed.position });
    return bytes.subarray(0, filled);
  }

  /** Only what is compressed may end before the range does, where another file follows. */
  #endsAt(segment: FileSegment, found: { readonly offset: number; readonly size: number }): void {
    const isLast = segment === this.#options.segments.at(-1);
    if (segment.size !== null || isLast) throw truncated(segment.path, found);
    this.#lengths.set(segment.path, found.size);
  }

  async #headerOf(segment: FileSegment): Promise<FileHeader> {
    const known = this.#headers.get(segment.path);
    if (known !== undefined) return known;
    const header = await readHeader(segment, this.#options.format);
    this.#headers.set(segment.path, header);
    return header;
  }
}

/** `bytes[0]` comes before the range: a record starts behind the first line end. */
function firstRecord(bytes: Uint8Array): number {
  const lineEnd = bytes.indexOf(lineFeed);
  return lineEnd === -1 ? bytes.length : lineEnd + 1;
}

function longer(bytes: Uint8Array, bytesMax: number): Uint8Array<ArrayBuffer> {
  const grown = new Uint8Array(Math.min(bytes.length * 2, bytesMax));
  grown.set(bytes);
  return grown;
}
