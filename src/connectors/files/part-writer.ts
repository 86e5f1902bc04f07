// A folder as output: one file for each sink partition and micro-batch, which appears whole. Its
// bytes are written beside the ledger's mark; the mark's renaming commits them, and then the file
// is moved into place. Who takes over moves what was committed and not moved yet, so a file that
// somebody has taken away already is not made again.

import { join } from 'node:path';
import type { SinkContext, SinkOutput, SinkWriter } from '../../ports/sink.ts';
import { fenced } from '../fenced.ts';
import { errnoOf, fileError } from './file-errors.ts';
import { FileLedger } from './file-ledger.ts';
import type { LedgerPlace } from './file-ledger.ts';
import type { RowEncoder } from '../row-encoder.ts';

/** `part-3-000000000042.jsonl` */
export const partName = /^part-\d+-\d{12,}\.(jsonl|csv)$/;
const stagedName = /^staged-([0-9a-f]+)-(\d+)$/;

export type PartOptions = {
  readonly place: LedgerPlace;
  readonly folder: string;
  readonly extension: string;
  readonly encoder: RowEncoder;
  /** Commits reach the disk before they resolve. */
  readonly fsync: boolean;
};

export class PartWriter implements SinkWriter {
  readonly committedThrough: number;
  readonly #options: PartOptions;
  readonly #ledger: FileLedger;
  readonly #header: Uint8Array;

  static async open(
    partition: number,
    context: SinkContext,
    options: PartOptions,
  ): Promise<PartWriter> {
    const ledger = await FileLedger.take(options.place, partition, context);
    const writer = new PartWriter(ledger, options);
    await writer.#settle();
    return writer;
  }

  private constructor(ledger: FileLedger, options: PartOptions) {
    this.#ledger = ledger;
    this.#options = options;
    this.#header = options.encoder.header();
    this.committedThrough = ledger.mark.batch;
  }

  async commit({ batch, rows }: SinkOutput): Promise<void> {
    const { operations } = this.#options.place;
    const { token } = this.#ledger.mark;
    const staged = this.#staged(token, batch);
    try {
      await this.#write(staged, this.#options.encoder.encode(rows));
      await this.#ledger.advance(batch, token);
    } catch (error) {
      throw await this.#failed(error, staged);
    }
    try {
      await operations.rename(staged, this.#part(batch));
      await this.#sync();
    } catch (error) {
      throw this.#isTaken(error) ? this.#fenced() : this.#error(error, this.#part(batch));
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Finishes what was committed, and takes away what never was. */
  async #settle(): Promise<void> {
    const { operations } = this.#options.place;
    const { batch, detail } = this.#ledger.mark;
    try {
      for (const name of await operations.list(this.#ledger.folder)) {
        const [, token, number] = stagedName.exec(name) ?? [];
        if (token === undefined) continue;
        const path = join(this.#ledger.folder, name);
        if (token !== detail || Number(number) !== batch) await operations.remove(path);
        else await this.#publish(path, batch);
      }
    } catch (error) {
      throw this.#error(error, this.#options.folder);
    }
  }

  /** The writer before may do the same now. */
  async #publish(staged: string, batch: number): Promise<void> {
    try {
      await this.#options.place.operations.rename(staged, this.#part(batch));
      await this.#sync();
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }

  async #write(path: string, lines: Uint8Array): Promise<void> {
    const file = await this.#options.place.operations.open(path, 'create');
    try {
      if (this.#header.length > 0) await file.write(this.#header, 0);
      await file.write(lines, this.#header.length);
      if (this.#options.fsync) await file.sync();
    } finally {
      await file.close();
    }
  }

  async #sync(): Promise<void> {
    if (!this.#options.fsync) return;
    const { operations } = this.#options.place;
    const folders = [this.#options.folder, this.#ledger.folder];
    await Promise.all(folders.map((folder) => operations.syncFolder(folder)));
  }

  /** Before the commit. On a full disk the staged file holds what space there was. */
  async #failed(cause: unknown, staged: string): Promise<Error> {
    const error = this.#error(cause, staged);
    if (this.#isTaken(cause)) return this.#fenced();
    try {
      await this.#options.place.operations.remove(staged);
    } catch {
      // The next writer takes it away; why it could not be written matters more.
    }
    return error;
  }

  /** What is to be renamed or made is gone, and so is the mark. */
  #isTaken(cause: unknown): boolean {
    return errnoOf(cause) === 'ENOENT' && !this.#ledger.isCurrent();
  }

  #fenced(): Error {
    return fenced(this.#options.place.target, this.#ledger.partition);
  }

  #error(cause: unknown, path: string): Error {
    return fileError('write file', path, cause);
  }

  #staged(token: string, batch: number): string {
    return join(this.#ledger.folder, `staged-${token}-${batch}`);
  }

  #part(batch: number): string {
    const { folder, extension } = this.#options;
    const number = String(batch).padStart(12, '0');
    return join(folder, `part-${this.#ledger.partition}-${number}.${extension}`);
  }
}
