// JSON lines and CSV as a sink. A folder gets a file for each sink partition and micro-batch, which
// appears whole under its name; a single file is appended to, a micro-batch at a time. Each keeps a
// ledger beside its output, so that a run that resumes goes on where the output ends.

import { statSync } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { StreamError } from '../../base/stream-error.ts';
import type { Sink, SinkContext, SinkOutput, SinkWriter } from '../../ports/sink.ts';
import { ProcessLedger } from '../process-ledger.ts';
import type { ProcessLedgerWriter } from '../process-ledger.ts';
import { AppendFile } from './append-file.ts';
import { errnoOf, fileError } from './file-errors.ts';
import {
  hasLedger,
  markedPartitions,
  putAside,
  replaceLedgers,
  tidyLedger,
} from './file-ledger.ts';
import type { LedgerPlace } from './file-ledger.ts';
import { fileOperations } from './file-operations.ts';
import type { FileOperations } from './file-operations.ts';
import { PartWriter, partName } from './part-writer.ts';
import { RowEncoder } from '../row-encoder.ts';
import type { TextFormat } from '../row-encoder.ts';

export type FileSinkOptions = {
  /** Takes away what earlier runs wrote there. Default false: refuses to start. */
  readonly overwrite?: boolean;
  /** Default `ms`: a number, milliseconds since the epoch. */
  readonly timestamps?: 'ms' | 'iso';
  /**
   * Default true: what is committed is on the disk, which costs a commit some milliseconds. False:
   * the system writes it when it likes; output outlives every process, but not a loss of power.
   */
  readonly fsync?: boolean;
};

/**
 * Writes rows as JSON lines. A path that ends in `/`, or is a folder, gets one file for each
 * partition and micro-batch with rows, `part-<partition>-<micro-batch>.jsonl`, which appears whole
 * and may be taken away once it is there. On a cluster all hosts must see the folder. Another path
 * is one file that grows by whole micro-batches: who reads it meanwhile must take whole lines only,
 * and after a crash its last lines may be cut off and come again, the same. Output appears exactly
 * once, also over restarts: `.mizzle` in the folder, or `.<name>.mizzle` beside the file, is the
 * ledger for that. A device or a pipe has none: there a run that resumes in another process repeats
 * rows. int64 are written exactly, NaN and infinities as null. The run rejects with
 * `output-exists`, `output-in-use`, `output-changed`, `file-permission`, `disk-full` and the like.
 *
 * @example
 * jsonLines('out/'); jsonLines('totals.jsonl', { overwrite: true });
 */
export function jsonLines(path: string, options: FileSinkOptions = {}): Sink {
  const { timestamps = 'ms' } = options;
  return new FileSink(path, { kind: 'jsonl', timestamps, delimiter: ',' }, options);
}

/**
 * Writes rows as CSV with a header line, in the same way as `jsonLines`. Null, NaN and infinities
 * are empty; an empty text is `""`.
 *
 * @example
 * csv('totals.csv', { delimiter: ';', timestamps: 'iso' });
 */
export function csv(
  path: string,
  options: FileSinkOptions & { readonly delimiter?: string } = {},
): Sink {
  const { timestamps = 'ms', delimiter = path.endsWith('.tsv') ? '\t' : ',' } = options;
  if (!/^[^"\r\n\u0080-\uffff]$/.test(delimiter)) {
    throw new StreamError({
      code: 'option-invalid',
      message: `could not set up "csv": the delimiter is "${delimiter}"`,
      hint: 'give one ASCII character, no quote',
      fields: { sink: 'csv' },
    });
  }
  return new FileSink(path, { kind: 'csv', timestamps, delimiter }, options);
}

/** What runs of this process write to now: two sinks would mix up their rows, or lose them. */
const pathsInUse = new Set<string>();

export class FileSink implements Sink {
  readonly kind = 'files';
  readonly description: string;
  readonly location = 'worker';
  readonly partitions: 1 | null;
  readonly #path: string;
  readonly #format: TextFormat;
  readonly #options: FileSinkOptions;
  readonly #place: LedgerPlace;
  readonly #streamLedger = new ProcessLedger();
  #append: { readonly file: Promise<AppendFile>; readonly run: SinkContext['run'] } | null = null;
  #holds: string | null = null;

  constructor(
    path: string,
    format: TextFormat,
    options: FileSinkOptions & { readonly operations?: FileOperations },
  ) {
    this.#path = path;
    this.#format = format;
    this.#options = options;
    this.partitions = isFolder(path) ? null : 1;
    this.description = path;
    this.#place = {
      operations: options.operations ?? fileOperations,
      root: ledgerFolder(path, this.partitions === null),
      target: path,
    };
  }

  async prepare(context: SinkContext): Promise<void> {
    this.#hold();
    try {
      await this.#refuseInputs(context.inputs ?? []);
      if (this.partitions === null) await this.#prepareFolder(context);
      else await this.#prepareFile(context);
    } catch (error) {
      await this.finish();
      throw fileError('write to', this.#path, error);
    }
  }

  async open(partition: number, context: SinkContext): Promise<SinkWriter> {
    const { fsync = true } = this.#options;
    const place = this.#place;
    const encoder = new RowEncoder(context.schema, this.#format);
    try {
      if (this.partitions === null) {
        const parts = { folder: this.#path, extension: this.#format.kind };
        return await PartWriter.open(partition, context, { ...parts, place, encoder, fsync });
      }
      if ((await place.operations.length(this.#path)) === null) {
        const handle = await open(this.#path, 'a');
        return new StreamWriter({
          handle,
          path: this.#path,
          encoder,
          ledger: this.#streamLedger.open(partition, context),
        });
      }
      const file = await this.#appendFile(partition, context, encoder);
      return await file.writer(partition, context);
    } catch (error) {
      throw fileError('write to', this.#path, error);
    }
  }

  finish(): Promise<void> {
    if (this.#holds !== null) pathsInUse.delete(this.#holds);
    this.#holds = null;
    this.#append = null;
    return Promise.resolve();
  }

  /** The writers of all partitions share the file, as long as none has to fence another. */
  async #appendFile(
    partition: number,
    context: SinkContext,
    encoder: RowEncoder,
  ): Promise<AppendFile> {
    const { run } = context;
    const before = this.#append;
    if (before !== null && before.run.term === run.term) {
      const file = await before.file;
      if (before.run.incarnation === run.incarnation && file.isFree(partition)) return file;
    }
    const { fsync = true } = this.#options;
    const options = { place: this.#place, path: this.#path, encoder, fsync };
    const append = { file: AppendFile.open(partition, context, options), run };
    this.#append = append;
    append.file.catch(() => {
      if (this.#append === append) this.#append = null;
    });
    return append.file;
  }

  /** What the job reads must not be emptied before it was read. */
  async #refuseInputs(inputs: readonly string[]): Promise<void> {
    const own = await realPath(this.#path);
    for (const input of inputs) {
      const path = await realPath(input);
      const part = dirname(path) === own && partName.test(basename(path));
      if (path === own || (this.partitions === null && part)) throw isInput(this.#path, input);
    }
  }

  #hold(): void {
    const path = resolve(this.#path);
    if (pathsInUse.has(path)) throw inUse(this.#path);
    pathsInUse.add(path);
    this.#holds = path;
  }

  async #prepareFolder(context: SinkContext): Promise<void> {
    const { operations } = this.#place;
    await operations.makeFolders(this.#path);
    const parts = (await operations.list(this.#path)).filter((name) => partName.test(name));
    const found = `${parts.length} part files`;
    if (await this.#goesOn(context, parts.length > 0 ? found : null)) return;
    if (context.run.keeps !== null) return replaceLedgers(this.#place, context, async () => {});
    await replaceLedgers(this.#place, context, async (isDue) => {
      for (const name of parts) if (isDue()) operations.removeNow(join(this.#path, name));
    });
  }

  async #prepareFile(context: SinkContext): Promise<void> {
    const { operations } = this.#place;
    await operations.makeFolders(dirname(this.#path));
    const length = await operations.length(this.#path);
    const header = new RowEncoder(context.schema, this.#format).header();
    if (length === null) {
      const { resumes, keeps } = context.run;
      if (this.#streamLedger.keeps(context) || resumes || keeps !== null) return;
      const handle = await open(this.#path, 'a');
      await handle.writeFile(header).finally(() => handle.close());
      return;
    }
    if (await this.#goesOn(context, length > 0 ? `${length} bytes` : null)) return;
    const kept = context.run.keeps === null ? 0 : ((await operations.length(this.#path)) ?? 0);
    if (kept > 0) return replaceLedgers(this.#place, context, async () => {}, kept);
    const file = await operations.open(this.#path, 'change');
    await replaceLedgers(this.#place, context, async (isDue) => {
      if (isDue()) file.truncate(0);
    });
    await file.write(header, 0);
    await file.close();
  }

  /**
   * Whether the ledger that is there counts: also that of a new run which was prepared once
   * already, by a process that came no further. `found`: what is there of output.
   */
  async #goesOn(context: SinkContext, found: string | null): Promise<boolean> {
    const ledger = await hasLedger(this.#place, context);
    if (ledger === 'own') {
      await tidyLedger(this.#place, context);
      return true;
    }
    const { keeps } = context.run;
    if (keeps !== null) {
      await this.#settle(keeps, context, found);
      return false;
    }
    if (!context.run.resumes) {
      if (found !== null && this.#options.overwrite !== true) throw exists(this.#path, found);
      return false;
    }
    // The sink is new in the pipeline, or its output was taken away on purpose, ledger and all.
    if (ledger === 'none' && found === null) return false;
    throw notOurs(this.#path, found ?? 'the ledger of another one');
  }

  /** Brings the output of the history that wrote here to its end, and fences its writers. */
  async #settle(
    histories: readonly string[],
    context: SinkContext,
    found: string | null,
  ): Promise<void> {
    for (const history of histories) {
      const former = { ...context, run: { ...context.run, history, keeps: null } };
      if ((await hasLedger(this.#place, former)) !== 'own') continue;
      for (const partition of await markedPartitions(this.#place, former)) {
        const writer = await this.open(partition, former);
        await writer.close();
      }
      // Another one opens the file anew.
      this.#append = null;
      return;
    }
    // The sink is new in the pipeline; or it was brought this far before, and no further.
    const isFree = found === null || (await putAside(this.#place)).length > 0;
    if (!isFree) throw notOurs(this.#path, found);
  }
}

/** A device or a pipe. */
class StreamWriter implements SinkWriter {
  readonly committedThrough: number;
  readonly #parts: StreamParts;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.committedThrough = parts.ledger.committedThrough;
  }

  async commit({ batch, rows }: SinkOutput): Promise<void> {
    const { handle, path, encoder, ledger } = this.#parts;
    ledger.check();
    try {
      await handle.writeFile(encoder.encode(rows));
    } catch (error) {
      throw fileError('write file', path, error);
    }
    ledger.advance(batch);
  }

  close(): Promise<void> {
    return this.#parts.handle.close();
  }
}

type StreamParts = {
  readonly handle: FileHandle;
  readonly path: string;
  readonly encoder: RowEncoder;
  readonly ledger: ProcessLedgerWriter;
};

function ledgerFolder(path: string, isFolderPath: boolean): string {
  return isFolderPath ? join(path, '.mizzle') : join(dirname(path), `.${basename(path)}.mizzle`);
}

// Asked when the pipeline is built, on every worker: `prepare` does not change the answer.
function isFolder(path: string): boolean {
  if (path.endsWith('/')) return true;
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Without links; what is not there yet, as it is called. */
async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return resolve(path);
    throw error;
  }
}

function isInput(path: string, input: string): StreamError {
  return new StreamError({
    code: 'output-is-input',
    message: `could not write to "${path}": the pipeline reads it`,
    hint: 'write to another file or folder',
    fields: { path, input },
  });
}

function inUse(path: string): StreamError {
  return new StreamError({
    code: 'output-in-use',
    message: `could not write to "${path}": another sink of this process writes there`,
    hint: 'give each sink a path of its own, or wait for the end of the other run',
    fields: { file: path },
  });
}

function exists(path: string, found: string): StreamError {
  return new StreamError({
    code: 'output-exists',
    message: `could not write to "${path}": it holds ${found} already`,
    hint: 'choose another path, or let them be replaced: overwrite: true',
    fields: { file: path },
  });
}

function notOurs(path: string, found: string): StreamError {
  return new StreamError({
    code: 'output-not-ours',
    message: `could not go on writing to "${path}": it holds ${found}, and no ledger of this run`,
    hint: 'put back the output as the run had left it, or move what is there to another place',
    fields: { file: path },
  });
}
