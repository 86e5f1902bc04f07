// The bytes of one file segment, standard input or a followed file, read into buffers of the
// caller's. Cuts nothing and keeps nothing; `stop` makes a read that waits give 0.

import { createReadStream, fstatSync, watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { isatty, ReadStream } from 'node:tty';
import { createGunzip } from 'node:zlib';
import { StreamError } from '../../base/stream-error.ts';
import type { FileSegment } from './file-layout.ts';
import { truncated } from './file-check.ts';
import { errnoOf, fileError } from './file-errors.ts';

export type ByteFeed = {
  /** Reads into target[at, …) what is there, at least a byte; 0: the end, or stopped. */
  read(target: Uint8Array, at: number): Promise<number>;
  /** Where the next byte comes from. */
  readonly position: number;
  /** Bytes of the file as last seen; null where nobody knows. */
  size(): number | null;
  stop(): void;
  close(): Promise<void>;
};

/** `position` is the first byte to be read; a stream that ends before it stays where it ended. */
export async function openFeed(
  segment: FileSegment,
  options: { readonly position: number; readonly follow: boolean },
): Promise<ByteFeed> {
  const { path, size } = segment;
  if (path === '-') return skipped(new StreamFeed(standardInput()), options.position);
  if (path.endsWith('.gz')) {
    const file = createReadStream(path);
    const plain = createGunzip();
    file.on('error', (error) => plain.destroy(error));
    plain.on('close', () => file.destroy());
    return skipped(new StreamFeed(file.pipe(plain)), options.position);
  }
  if (options.follow) return FollowedFile.open(path, options.position);
  if (size === null) return skipped(new StreamFeed(createReadStream(path)), options.position);
  return new RegularFile(await open(path, 'r'), { path, size, position: options.position });
}

const skipBytes = 65_536;

/** What cannot be read from the middle is read from the start. */
async function skipped(feed: StreamFeed, byteCount: number): Promise<ByteFeed> {
  if (byteCount === 0) return feed;
  const scratch = new Uint8Array(Math.min(byteCount, skipBytes));
  try {
    for (let left = byteCount; left > 0;) {
      const count = await feed.read(scratch.subarray(0, Math.min(left, scratch.length)), 0);
      if (count === 0) break;
      left -= count;
    }
  } catch (error) {
    await feed.close();
    throw error;
  }
  return feed;
}

class RegularFile implements ByteFeed {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #size: number;
  #position: number;

  constructor(
    handle: FileHandle,
    place: { readonly path: string; readonly size: number; readonly position: number },
  ) {
    this.#handle = handle;
    this.#path = place.path;
    this.#size = place.size;
    this.#position = place.position;
  }

  get position(): number {
    return this.#position;
  }

  async read(target: Uint8Array, at: number): Promise<number> {
    const wanted = Math.min(target.length - at, this.#size - this.#position);
    if (wanted === 0) return 0;
    const { bytesRead } = await this.#handle.read(target, at, wanted, this.#position);
    if (bytesRead === 0) {
      const { size } = await this.#handle.stat();
      throw truncated(this.#path, { offset: this.#position, size });
    }
    this.#position += bytesRead;
    return bytesRead;
  }

  size(): number {
    return this.#size;
  }

  stop(): void {}

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** How often a followed file is looked at where the system tells of no change. */
const pollMs = 100;

/** Ends only when stopped. The file must only grow: truncation and rotation are errors. */
class FollowedFile implements ByteFeed {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #inode: bigint;
  readonly #watcher: FSWatcher | null;
  #position: number;
  #size: number;
  #changed = false;
  #stopped = false;
  #wake: (() => void) | null = null;

  static async open(path: string, position: number): Promise<FollowedFile> {
    const handle = await open(path, 'r');
    const { ino } = await handle.stat({ bigint: true });
    return new FollowedFile(handle, { path, inode: ino, position });
  }

  constructor(
    handle: FileHandle,
    place: { readonly path: string; readonly inode: bigint; readonly position: number },
  ) {
    this.#handle = handle;
    this.#path = place.path;
    this.#inode = place.inode;
    this.#position = place.position;
    this.#size = place.position;
    this.#watcher = this.#watch();
  }

  get position(): number {
    return this.#position;
  }

  async read(target: Uint8Array, at: number): Promise<number> {
    let isLastLook = false;
    while (!this.#stopped) {
      this.#changed = false;
      const { bytesRead } = await this.#handle.read(target, at, target.length - at, this.#position);
      this.#position += bytesRead;
      this.#size = Math.max(this.#size, this.#position);
      if (bytesRead > 0) return bytesRead;
      // What was written before the file was renamed is still read.
      if (isLastLook) throw this.#rotated();
      isLastLook = await this.#isRotated();
      if (!isLastLook) await this.#change();
    }
    return 0;
  }

  size(): number {
    return this.#size;
  }

  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  async close(): Promise<void> {
    this.stop();
    this.#watcher?.close();
    await this.#handle.close();
  }

  async #isRotated(): Promise<boolean> {
    const { size } = await this.#handle.stat();
    if (size < this.#position) throw truncated(this.#path, { offset: this.#position, size });
    this.#size = size;
    try {
      return (await stat(this.#path, { bigint: true })).ino !== this.#inode;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return true;
      throw fileError('follow file', this.#path, error);
    }
  }

  #rotated(): StreamError {
    return new StreamError({
      code: 'file-rotated',
      message: `could not follow file "${this.#path}": it was renamed, replaced or removed`,
      hint: 'followed files must stay in place: start a new run for the new file',
      fields: { file: this.#path, offset: this.#position },
    });
  }

  // Watches can run out or be unknown to the file system: polling alone then does.
  #watch(): FSWatcher | null {
    try {
      const watcher = watch(this.#path, { persistent: false }, () => {
        this.#changed = true;
        this.#wake?.();
      });
      watcher.on('error', () => watcher.close());
      return watcher;
    } catch {
      return null;
    }
  }

  async #change(): Promise<void> {
    if (this.#changed || this.#stopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, pollMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }
}

class StreamFeed implements ByteFeed {
  readonly #stream: Readable;
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Uint8Array = new Uint8Array(0);
  #stopped = false;
  #onStop: (() => void) | null = null;
  position = 0;

  constructor(stream: Readable) {
    this.#stream = stream;
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  async read(target: Uint8Array, at: number): Promise<number> {
    while (this.#rest.length === 0) {
      const next = await this.#next();
      if (next === null) return 0;
      this.#rest = next;
    }
    const count = Math.min(this.#rest.length, target.length - at);
    target.set(this.#rest.subarray(0, count), at);
    this.#rest = this.#rest.subarray(count);
    this.position += count;
    return count;
  }

  // A stream may never answer, not even to being destroyed: the opening of a pipe without a writer.
  #next(): Promise<Uint8Array | null> {
    if (this.#stopped) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.#onStop = () => resolve(null);
      this.#chunks
        .next()
        .then(({ value, done }) => resolve(done === true ? null : value))
        .catch(reject);
    });
  }

  size(): null {
    return null;
  }

  stop(): void {
    this.#stopped = true;
    this.#onStop?.();
    this.#stream.destroy();
  }

  close(): Promise<void> {
    this.stop();
    return Promise.resolve();
  }
}

// `process.stdin` is empty in a worker thread, so the descriptor is read directly: pipes and
// terminals through the event loop, since a blocked thread of the pool could not be stopped.
function standardInput(): Readable {
  const info = fstatSync(0);
  if (isatty(0)) return new ReadStream(0);
  if (info.isFIFO() || info.isSocket())
    return new Socket({ fd: 0, readable: true, writable: false });
  return createReadStream('', { fd: 0, autoClose: false });
}
