// A worker's spill disk: blocks that memory has no room for, until a checkpoint covers them. They
// are of use to this life of the worker only: nothing is forced to the disk, and a file loses its
// name as soon as it is open: whatever ends the worker, the system frees the space.

import { randomUUID } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { crc32 } from 'node:zlib';
import { storageError } from '../../control/storage/storage-errors.ts';
import { fileFailure } from './file-failure.ts';

/** Where a block lies. */
export type SpillPlace = {
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
  readonly crc32: number;
};

export type SpilledBlock = {
  /** It is needed until everything through this micro-batch is covered. */
  readonly batch: number;
  readonly pieces: readonly Uint8Array[];
};

type Segment = {
  readonly number: number;
  /** The name that it had. */
  readonly path: string;
  readonly file: FileHandle;
  bytes: number;
  /** The last micro-batch of which it holds a block. */
  through: number;
  /** Reads under way: it is closed after the last one. */
  reads: number;
  dropped: boolean;
};

/** Small enough that space is freed soon after a checkpoint, large enough to be rarely opened. */
const segmentBytesMaxDefault = 64 * 1024 * 1024;

export class SpillFiles {
  readonly #folder: string;
  readonly #segmentBytesMax: number;
  readonly #segments = new Map<number, Segment>();
  #opened = 0;
  /** What is appended next goes there; null: into a new one. */
  #last: Segment | null = null;
  #droppedThrough = -1;
  #closed = false;

  constructor(folder: string, segmentBytesMax = segmentBytesMaxDefault) {
    this.#folder = folder;
    this.#segmentBytesMax = segmentBytesMax;
  }

  /** Files that are open; their names are gone. */
  get segments(): number {
    return this.#segments.size;
  }

  /**
   * Resolves with where the blocks lie, in their order. Rejects with StreamError: `store-full`,
   * `store-denied` and others; nothing of the call counts then. One call at a time.
   */
  async append(blocks: readonly SpilledBlock[]): Promise<readonly SpillPlace[]> {
    const segment = this.#last ?? (await this.#open());
    for (const { batch } of blocks) segment.through = Math.max(segment.through, batch);
    const joined = Buffer.concat(blocks.flatMap(({ pieces }) => pieces));
    await this.#write(segment, joined);
    let at = 0;
    const places = blocks.map(({ pieces }): SpillPlace => {
      const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
      const offset = segment.bytes + at;
      const checksum = crc32(joined.subarray(at, at + bytes));
      at += bytes;
      return { segment: segment.number, offset, bytes, crc32: checksum };
    });
    segment.bytes += joined.length;
    this.#last = segment.bytes >= this.#segmentBytesMax ? null : segment;
    // What was covered while it was written.
    this.drop(this.#droppedThrough);
    return places;
  }

  /** The block, in shared memory. Rejects with StreamError: `spill-damaged`, or the system's. */
  async read(place: SpillPlace): Promise<Uint8Array> {
    const segment = this.#segments.get(place.segment);
    if (segment === undefined) throw this.#damaged(this.#folder, 'its file is closed', place);
    segment.reads++;
    try {
      const bytes = new Uint8Array(new SharedArrayBuffer(place.bytes));
      for (let done = 0; done < bytes.length;) {
        const at = place.offset + done;
        const { bytesRead } = await segment.file.read(bytes, done, bytes.length - done, at);
        if (bytesRead === 0) throw this.#damaged(segment.path, 'the file is too short', place);
        done += bytesRead;
      }
      if (crc32(bytes) === place.crc32) return bytes;
      throw this.#damaged(segment.path, 'its bytes do not match their checksum', place);
    } catch (error) {
      throw fileFailure('read back blocks from', segment.path, error);
    } finally {
      segment.reads--;
      if (segment.dropped) this.#closeUnread(segment);
    }
  }

  /** Blocks through this micro-batch are needed by nobody: files that hold no other are freed. */
  drop(through: number): void {
    this.#droppedThrough = Math.max(this.#droppedThrough, through);
    for (const segment of this.#segments.values()) {
      if (segment.through <= this.#droppedThrough) this.#drop(segment);
    }
  }

  close(): void {
    this.#closed = true;
    for (const segment of this.#segments.values()) this.#drop(segment);
  }

  #drop(segment: Segment): void {
    segment.dropped = true;
    this.#segments.delete(segment.number);
    if (this.#last === segment) this.#last = null;
    this.#closeUnread(segment);
  }

  #closeUnread(segment: Segment): void {
    // What is not written to cannot fail to be closed, and nothing in it is wanted.
    if (segment.reads === 0) segment.file.close().catch(() => {});
  }

  async #open(): Promise<Segment> {
    const path = join(this.#folder, `mizzle-spill-${process.pid}-${randomUUID()}`);
    try {
      await mkdir(this.#folder, { recursive: true });
      const file = await open(path, 'wx+', 0o600);
      await rm(path);
      const number = this.#opened++;
      const segment = { number, path, file, bytes: 0, through: -1, reads: 0, dropped: false };
      this.#last = segment;
      if (this.#closed) this.#drop(segment);
      else this.#segments.set(number, segment);
      return segment;
    } catch (error) {
      throw fileFailure('write kept blocks to', path, error);
    }
  }

  async #write(segment: Segment, bytes: Uint8Array): Promise<void> {
    segment.reads++;
    try {
      for (let done = 0; done < bytes.length;) {
        const at = segment.bytes + done;
        const { bytesWritten } = await segment.file.write(bytes, done, bytes.length - done, at);
        done += bytesWritten;
      }
    } catch (error) {
      throw fileFailure('write kept blocks to', segment.path, error);
    } finally {
      segment.reads--;
      if (segment.dropped) this.#closeUnread(segment);
    }
  }

  #damaged(path: string, what: string, { offset, bytes }: SpillPlace): Error {
    return storageError({
      code: 'spill-damaged',
      message: `could not read back ${bytes} bytes at ${offset} of "${path}": ${what}`,
      hint: 'check that disk, or give another folder as `checkpoints.spillFolder`',
      fields: { path, offset, bytes },
    });
  }
}
