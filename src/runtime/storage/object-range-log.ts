// The range log over any store of blobs: durable wherever the checkpoints are, at the price of one
// write to the store. The protocol is in `control/storage/object-log-script.ts`.

import { AppendQueue } from '../../base/append-queue.ts';
import { appendsOf } from '../../control/storage/range-log-errors.ts';
import type { OpeningWriter } from '../../control/storage/object-log-script.ts';
import {
  appendObject,
  fenceWriters,
  listWriters,
  openObjects,
  readObjects,
  releaseObjects,
  sealObjects,
} from '../../control/storage/object-log-script.ts';
import { encodeFrame } from '../../control/storage/range-frame.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import type { LoggedRange, RangeLog, RangeLogWriter } from '../../ports/range-log.ts';
import { runStoreScript } from './run-script.ts';

export class ObjectRangeLog implements RangeLog {
  readonly description: string;
  readonly #store: BlobStore;
  readonly #log: string;
  readonly #nowMs: () => number;
  readonly #spent = new Set<string>();

  /** `folder`: the folder of the log's objects, which ends in `/`. */
  constructor(store: BlobStore, folder: string, nowMs: () => number) {
    this.#store = store;
    this.#log = folder;
    this.#nowMs = nowMs;
    this.description = store.description;
  }

  writer(name: string, term: number): RangeLogWriter {
    return new ObjectLogWriter(this.#store, { log: this.#log, writer: name, term });
  }

  fence(term: number): Promise<void> {
    return runStoreScript(this.#store, fenceWriters(this.#log, term));
  }

  seal(writer: string): Promise<void> {
    return runStoreScript(this.#store, sealObjects({ log: this.#log, writer }));
  }

  read(afterBatch: number): Promise<readonly LoggedRange[]> {
    return runStoreScript(this.#store, readObjects(this.#log, afterBatch, this.#spent));
  }

  /** Nothing: every read begins anew. */
  keepUp(): Promise<void> {
    return Promise.resolve();
  }

  writers(): Promise<readonly string[]> {
    return runStoreScript(this.#store, listWriters(this.#log));
  }

  release(throughBatch: number): Promise<void> {
    return runStoreScript(
      this.#store,
      releaseObjects(this.#log, throughBatch, { nowMs: this.#nowMs(), spent: this.#spent }),
    );
  }
}

class ObjectLogWriter implements RangeLogWriter {
  readonly #store: BlobStore;
  readonly #place: OpeningWriter;
  readonly #queue: AppendQueue<LoggedRange>;
  #next = 0;
  #throughBatch = -1;
  /** A write that was given up: whether it happened is settled before the next one. */
  #unsettled: Uint8Array | null = null;

  constructor(store: BlobStore, place: OpeningWriter) {
    this.#store = store;
    this.#place = place;
    this.#queue = new AppendQueue(appendsOf(place.writer, (records) => this.#write(records)));
  }

  append(records: readonly LoggedRange[]): Promise<void> {
    return this.#queue.append(records);
  }

  close(): Promise<void> {
    return this.#queue.close();
  }

  async #write(records: readonly LoggedRange[]): Promise<void> {
    if (this.#next === 0) {
      await runStoreScript(this.#store, openObjects(this.#place));
      this.#next = 1;
    }
    if (this.#unsettled !== null) await this.#create(this.#unsettled);
    const throughBatch = records.reduce(
      (greatest, { batch }) => Math.max(greatest, batch),
      this.#throughBatch,
    );
    this.#throughBatch = throughBatch;
    await this.#create(encodeFrame({ kind: 'records', throughBatch, records }));
  }

  async #create(bytes: Uint8Array): Promise<void> {
    this.#unsettled = bytes;
    await runStoreScript(this.#store, appendObject(this.#place, this.#next, bytes));
    this.#unsettled = null;
    this.#next++;
  }
}
