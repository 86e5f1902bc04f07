// JSON lines and CSV as a sink. A folder gets a file for each sink partition and micro-batch, which
// appears whole under its name; a single file is appended to, a micro-batch at a time. Nothing is
// forced to the disk: what the system has not written yet is lost with the machine.

import { statSync } from 'node:fs';
import { mkdir, open, readdir, realpath, rename, rm, stat, truncate } from 'node:fs/promises';
import { writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { StreamError } from '../../base/stream-error.ts';
import type { Sink, SinkContext, SinkOutput, SinkWriter } from '../../ports/sink.ts';
import { errnoOf, fileError } from './file-errors.ts';
import { RowEncoder } from './row-encoder.ts';
import type { TextFormat } from './row-encoder.ts';

export type FileSinkOptions = {
  /** Takes away what earlier runs wrote there. Default false: refuses to start. */
  readonly overwrite?: boolean;
  /** Default `ms`: a number, milliseconds since the epoch. */
  readonly timestamps?: 'ms' | 'iso';
};

/**
 * Writes rows as JSON lines. A path that ends in `/`, or is a folder, gets one file for each
 * partition and micro-batch with rows, `part-<partition>-<micro-batch>.jsonl`, which appears whole.
 * Any other path is one file that grows by whole micro-batches; who reads it meanwhile must take
 * whole lines only. int64 are written exactly, NaN and infinities as null. The run rejects with
 * `output-exists`, `output-in-use`, `file-permission`, `disk-full` and the like.
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

/** `part-3-000000000042.jsonl` */
const partName = /^part-\d+-\d{12,}\.(jsonl|csv)$/;
const temporaryName = /^\.part-\d+-\d{12,}\.(jsonl|csv)\.tmp$/;

class FileSink implements Sink {
  readonly kind = 'files';
  readonly description: string;
  readonly location = 'worker';
  readonly partitions: 1 | null;
  readonly #path: string;
  readonly #format: TextFormat;
  readonly #overwrite: boolean;
  #holds: string | null = null;

  constructor(path: string, format: TextFormat, options: FileSinkOptions) {
    this.#path = path;
    this.#format = format;
    this.#overwrite = options.overwrite ?? false;
    this.partitions = isFolder(path) ? null : 1;
    this.description = path;
  }

  async prepare(context: SinkContext): Promise<void> {
    this.#hold();
    try {
      await this.#refuseInputs(context.inputs ?? []);
      if (this.partitions === null) await this.#prepareFolder();
      else await this.#prepareFile(context);
    } catch (error) {
      await this.finish();
      throw fileError('write to', this.#path, error);
    }
  }

  async open(partition: number, context: SinkContext): Promise<SinkWriter> {
    const encoder = new RowEncoder(context.schema, this.#format);
    if (this.partitions === null) {
      return new PartWriter(this.#path, encoder, { partition, extension: this.#format.kind });
    }
    try {
      const handle = await open(this.#path, 'a');
      return new AppendWriter(handle, this.#path, encoder);
    } catch (error) {
      throw fileError('write to file', this.#path, error);
    }
  }

  finish(): Promise<void> {
    if (this.#holds !== null) pathsInUse.delete(this.#holds);
    this.#holds = null;
    return Promise.resolve();
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

  async #prepareFolder(): Promise<void> {
    await mkdir(this.#path, { recursive: true });
    const names = await readdir(this.#path);
    const parts = names.filter((name) => partName.test(name));
    if (parts.length > 0 && !this.#overwrite)
      throw exists(this.#path, `${parts.length} part files`);
    const stale = names.filter((name) => partName.test(name) || temporaryName.test(name));
    for (const name of stale) await rm(join(this.#path, name));
  }

  async #prepareFile(context: SinkContext): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true });
    const size = await sizeOf(this.#path);
    if (size > 0 && !this.#overwrite) throw exists(this.#path, `${size} bytes`);
    const header = new RowEncoder(context.schema, this.#format).header();
    await writeFile(this.#path, header);
  }
}

/** One file for each micro-batch. */
class PartWriter implements SinkWriter {
  readonly #folder: string;
  readonly #encoder: RowEncoder;
  readonly #header: Uint8Array;
  readonly #partition: number;
  readonly #extension: string;

  constructor(
    folder: string,
    encoder: RowEncoder,
    part: { readonly partition: number; readonly extension: string },
  ) {
    this.#folder = folder;
    this.#encoder = encoder;
    this.#header = encoder.header();
    this.#partition = part.partition;
    this.#extension = part.extension;
  }

  async commit(output: SinkOutput): Promise<void> {
    const batch = String(output.batch).padStart(12, '0');
    const name = `part-${this.#partition}-${batch}.${this.#extension}`;
    const path = join(this.#folder, name);
    const temporary = join(this.#folder, `.${name}.tmp`);
    try {
      const lines = this.#encoder.encode(output.rows);
      const { length } = this.#header;
      await writeFile(temporary, length === 0 ? lines : Buffer.concat([this.#header, lines]));
      await rename(temporary, path);
    } catch (error) {
      // On a full disk it holds what space there was.
      await rm(temporary, { force: true });
      throw fileError('write file', path, error);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** One file that grows. */
class AppendWriter implements SinkWriter {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #encoder: RowEncoder;

  constructor(handle: FileHandle, path: string, encoder: RowEncoder) {
    this.#handle = handle;
    this.#path = path;
    this.#encoder = encoder;
  }

  async commit(output: SinkOutput): Promise<void> {
    const bytes = this.#encoder.encode(output.rows);
    const { size, file } = await this.#look();
    try {
      for (let at = 0; at < bytes.length;) {
        at += (await this.#handle.write(bytes, at, bytes.length - at)).bytesWritten;
      }
    } catch (error) {
      // All or nothing: a full disk may have taken a part.
      if (file) await truncate(this.#path, size);
      throw fileError('write file', this.#path, error);
    }
  }

  async #look(): Promise<{ size: number; file: boolean }> {
    const info = await this.#handle.stat();
    return { size: info.size, file: info.isFile() };
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

// Asked when the pipeline is built, on every worker: `prepare` does not change the answer.
function isFolder(path: string): boolean {
  if (path.endsWith('/')) return true;
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

async function sizeOf(path: string): Promise<number> {
  try {
    const info = await stat(path);
    return info.isFile() ? info.size : 0;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0;
    throw error;
  }
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
