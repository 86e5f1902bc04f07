// One file as output, which grows by whole micro-batches. The ledger's mark holds the file's length
// behind the last of them; what lies beyond is no output, is written over, and is cut off when the
// file is opened again. Several sink partitions may feed the file, each with a mark of its own, one
// commit at a time: the greatest length counts.

import type { SinkContext, SinkOutput, SinkWriter } from '../../ports/sink.ts';
import { StreamError } from '../../base/stream-error.ts';
import { fenced } from '../fenced.ts';
import { fileError } from './file-errors.ts';
import { FileLedger, keptBytesOf, markedPartitions } from './file-ledger.ts';
import type { LedgerPlace } from './file-ledger.ts';
import type { OpenFile } from './file-operations.ts';
import type { RowEncoder } from '../row-encoder.ts';

export type AppendOptions = {
  readonly place: LedgerPlace;
  readonly path: string;
  readonly encoder: RowEncoder;
  /** Commits reach the disk before they resolve. */
  readonly fsync: boolean;
};

export class AppendFile {
  readonly #options: AppendOptions;
  readonly #file: OpenFile;
  readonly #ledgers: Map<number, FileLedger>;
  /** Behind the last micro-batch that is committed. */
  #length: number;
  #last: Promise<void> = Promise.resolve();
  readonly #open = new Set<number>();
  #closed = false;

  /**
   * Fences everybody who writes the file, whatever partition. Of two who open it at once, each has
   * its own mark before it looks for others: so one of them sees the other one's.
   */
  static async open(
    partition: number,
    context: SinkContext,
    options: AppendOptions,
  ): Promise<AppendFile> {
    const { place, path, encoder } = options;
    const own = await FileLedger.take(place, partition, context);
    const ledgers = new Map([[partition, own]]);
    for (const other of await markedPartitions(place, context)) {
      if (other === partition) continue;
      ledgers.set(other, await FileLedger.take(place, other, context));
    }
    const lengths = Array.from(ledgers.values(), ({ mark }) => Number(mark.detail));
    const length = Math.max(await keptBytesOf(place, context), ...lengths);
    const found = (await place.operations.length(path)) ?? 0;
    if (found < length) throw shorter(path, { length, found });
    const file = await place.operations.open(path, 'change');
    const header = encoder.header();
    if (length === 0 && header.length > 0) await file.write(header, 0);
    if (!own.isCurrent()) {
      await file.close();
      throw fenced(place.target, partition);
    }
    file.truncate(Math.max(length, header.length));
    return new AppendFile({ file, ledgers, length: Math.max(length, header.length) }, options);
  }

  private constructor(
    found: {
      readonly file: OpenFile;
      readonly ledgers: Map<number, FileLedger>;
      readonly length: number;
    },
    options: AppendOptions,
  ) {
    this.#file = found.file;
    this.#ledgers = found.ledgers;
    this.#length = found.length;
    this.#options = options;
  }

  /** Whether the partition has no writer here: another one would have to fence that. */
  isFree(partition: number): boolean {
    return !this.#closed && !this.#open.has(partition);
  }

  async writer(partition: number, context: SinkContext): Promise<SinkWriter> {
    this.#open.add(partition);
    const ledger =
      this.#ledgers.get(partition) ??
      (await FileLedger.take(this.#options.place, partition, context));
    this.#ledgers.set(partition, ledger);
    return {
      committedThrough: ledger.mark.batch,
      commit: (output) => this.#commitNext(ledger, output),
      close: () => this.#close(partition),
    };
  }

  #commitNext(ledger: FileLedger, output: SinkOutput): Promise<void> {
    const commit = this.#last.then(() => this.#commit(ledger, output));
    this.#last = commit.catch(() => {});
    return commit;
  }

  async #commit(ledger: FileLedger, { batch, rows }: SinkOutput): Promise<void> {
    const { place, path, encoder, fsync } = this.#options;
    const bytes = encoder.encode(rows);
    const length = this.#length + bytes.length;
    // No file system lets a writer be fenced between this look and the write. One that stands still
    // right here, and goes on when it has been replaced, does no harm where one partition feeds the
    // file: the same micro-batch has the same bytes, and they belong to the same place.
    if (!ledger.isCurrent()) throw fenced(place.target, ledger.partition);
    try {
      await this.#file.write(bytes, this.#length);
      if (fsync) await this.#file.sync();
    } catch (error) {
      // A full disk may have taken a part, which a reader would see.
      if (ledger.isCurrent()) this.#file.truncate(this.#length);
      throw fileError('write file', path, error);
    }
    try {
      await ledger.advance(batch, String(length));
      this.#length = length;
      if (fsync) await place.operations.syncFolder(ledger.folder);
    } catch (error) {
      throw fileError('write file', path, error);
    }
  }

  async #close(partition: number): Promise<void> {
    await this.#last;
    this.#open.delete(partition);
    if (this.#open.size > 0 || this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }
}

function shorter(path: string, sizes: { length: number; found: number }): StreamError {
  return new StreamError({
    code: 'output-changed',
    message: `could not go on writing to "${path}" at byte ${sizes.length}: it has ${sizes.found}`,
    hint: 'put back the file as the run had left it, or start a new run: overwrite: true',
    fields: { file: path, offset: sizes.length, bytes: sizes.found },
  });
}
