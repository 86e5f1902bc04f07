// JSON lines and CSV from files, folders, growing files and standard input as a source. A
// partition's offset is a byte offset in its file (uncompressed), or over its files in order.

import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { StreamError } from '../../base/stream-error.ts';
import type { SourceFormat } from '../../plan/logical-plan.ts';
import type { Source, SourceContext, SourceReader, SourceReplayer } from '../../ports/source.ts';
import type { TypedSource } from '../../ports/typed.ts';
import type { JsonValue } from '../../schema/data-type.ts';
import type { Schema } from '../../schema/schema.ts';
import type { Columns } from '../../schema/value-type.ts';
import { requireSame } from './file-check.ts';
import { FileReader, slabsKept } from './file-reader.ts';
import { FileReplayer } from './file-replayer.ts';
import type { FileLayout, FileSegment } from './file-layout.ts';
import { formatOf, layOut } from './file-layout.ts';
import type { RecordFormat } from './record-cut.ts';

export type FilesOptions = {
  /** A file, a folder, several of them, or `-` for standard input. `.gz` is unpacked. */
  readonly path: string | readonly string[];
  /** Default: by the extension of the first path; JSON lines for a folder. */
  readonly format?: 'jsonl' | 'csv';
  /** Waits for what is written to the files later, until the run is stopped. Default false. */
  readonly follow?: boolean;
  /** Large JSON-lines files are read by all workers, each a part. Default true. */
  readonly split?: boolean;
  readonly csv?: {
    /** One ASCII character. Default `,`, or a tab for `.tsv`. */
    readonly delimiter?: string;
    /** Column names in order; then the files have no header line. */
    readonly header?: readonly string[];
  };
};

/**
 * Reads records from files: all of a file or of the files of a folder (by name, as there are at
 * the start), each a partition or more. Rejects the run with StreamErrors that name the file:
 * `file-not-found`, `file-permission`, `folder-empty`, `file-truncated`, `file-changed`,
 * `file-rotated`, `file-damaged`, `file-twice`, `record-too-long`, `too-many-files`. A run over
 * standard input, a pipe or a device is at-most-once: what a lost worker had taken cannot be read
 * again. Throws one with code
 * `option-invalid` for options that contradict each other.
 *
 * @example
 * const events = files({ path: 'events.jsonl', schema: schema({ user: string() }) });
 */
export function files<C extends Columns>(
  options: FilesOptions & { readonly schema: Schema<C> },
): TypedSource<C> {
  return { source: new FilesSource(options), schema: options.schema };
}

/** Of all partitions together; what a slow engine lets pile up. */
const slabBytesTotal = 64 << 20;
const slabBytesMax = 2 << 20;
const slabBytesMin = 64 << 10;

export class FilesSource implements Source {
  readonly kind = 'files';
  readonly description: string;
  readonly format: Extract<SourceFormat, { readonly kind: 'json-lines' | 'csv' }>;
  readonly replayable: boolean;
  readonly location: 'worker' | 'client';
  readonly #options: FilesOptions;
  readonly #paths: readonly string[];

  constructor(options: FilesOptions) {
    this.#options = options;
    this.#paths = typeof options.path === 'string' ? [options.path] : options.path;
    this.description = this.#paths.join(', ') + (options.follow === true ? ', followed' : '');
    this.replayable = !this.#paths.some((path) => path === '-' || isStream(path));
    this.location = this.#paths.includes('-') ? 'client' : 'worker';
    this.format = sourceFormat(options, this.#paths);
    checkOptions(options, this.#paths, this.format);
  }

  /** A run that resumes keeps to its layout: files that came since are no part of it. */
  async layout(context: SourceContext): Promise<JsonValue> {
    return await this.#layoutOf(context);
  }

  async partitions(context: SourceContext): Promise<number> {
    return (await this.#layoutOf(context)).length;
  }

  async open(partition: number, context: SourceContext): Promise<SourceReader> {
    const layout = await this.#layoutOf(context);
    const segments = layout[partition];
    const { follow = false } = this.#options;
    const slabBytes = slabBytesFor(segments, layout.length);
    const { from } = context;
    if (from === undefined)
      return new FileReader({ ...this.#records(segments), follow, slabBytes });
    for (const { path, check } of segments) {
      if (check !== undefined) await requireSame(path, { check, offset: from });
    }
    return new FileReader({ ...this.#records(segments), follow, slabBytes, from });
  }

  async replayer(partition: number, context: SourceContext): Promise<SourceReplayer> {
    const layout = await this.#layoutOf(context);
    return new FileReplayer(this.#records(layout[partition]));
  }

  /** What is read, and how its records are told apart. */
  #records(segments: readonly FileSegment[]): {
    readonly segments: readonly FileSegment[];
    readonly format: RecordFormat;
    readonly hasHeader: boolean;
  } {
    if (this.format.kind !== 'csv')
      return { segments, format: { kind: 'jsonl' }, hasHeader: false };
    const { delimiter, header } = this.format;
    const format = { kind: 'csv', delimiter: delimiter.charCodeAt(0) } as const;
    return { segments, format, hasHeader: header === null };
  }

  paths(layout: JsonValue): readonly string[] {
    const segments = (layout as unknown as FileLayout).flat();
    return [...new Set(segments.map(({ path }) => path))]
      .filter((path) => path !== '-')
      .map((path) => resolve(path));
  }

  #layOut(context: SourceContext): Promise<FileLayout> {
    const { follow = false, split = true, format } = this.#options;
    return layOut({
      paths: this.#paths,
      format: this.format.kind === 'csv' ? 'csv' : 'jsonl',
      formatGiven: format !== undefined,
      follow,
      split: split && this.format.kind === 'json-lines',
      workerCount: context.workerCount,
    });
  }

  /** As agreed for the run, or as things are where nothing was agreed (one thread). */
  async #layoutOf(context: SourceContext): Promise<FileLayout> {
    const { layout } = context;
    return layout === undefined || layout === null
      ? this.#layOut(context)
      : (layout as unknown as FileLayout);
  }
}

function sourceFormat(options: FilesOptions, paths: readonly string[]): FilesSource['format'] {
  const first = paths.length === 0 ? '' : paths[0];
  if ((options.format ?? formatOf(first)) === 'jsonl') return { kind: 'json-lines' };
  const { delimiter = /\.tsv(\.gz)?$/.test(first) ? '\t' : ',', header = null } = options.csv ?? {};
  return { kind: 'csv', delimiter, header };
}

function checkOptions(
  options: FilesOptions,
  paths: readonly string[],
  format: FilesSource['format'],
): void {
  if (paths.length === 0) refuse('no path is given', 'give a file, a folder or "-"');
  if (paths.includes('-') && paths.length > 1) {
    refuse('standard input cannot be read together with files', 'give "-" alone');
  }
  const kinds = new Set(paths.map(formatOf));
  if (options.format === undefined && kinds.size > 1) {
    refuse('the files are of different formats', 'state the format, or use a source for each');
  }
  if (options.follow === true && paths.some((path) => path === '-' || path.endsWith('.gz'))) {
    refuse('only plain files can be followed', 'leave "follow" out');
  }
  if (format.kind === 'json-lines' && options.csv !== undefined) {
    refuse('there are options for CSV, but the format is JSON lines', "add format: 'csv'");
  }
  if (format.kind === 'csv' && !/^[^"\r\n\u0080-\uffff]$/.test(format.delimiter)) {
    refuse(`the delimiter is "${format.delimiter}"`, 'give one ASCII character, no quote');
  }
}

function refuse(what: string, hint: string): never {
  const message = `could not set up "files": ${what}`;
  throw new StreamError({ code: 'option-invalid', message, hint, fields: { source: 'files' } });
}

/** A pipe or a device, here and now; elsewhere the path may not even be there. */
function isStream(path: string): boolean {
  const info = statSync(path, { throwIfNoEntry: false });
  return info !== undefined && !info.isFile() && !info.isDirectory();
}

/** No more than the bytes there are, and less where many partitions have slabs of their own. */
function slabBytesFor(segments: readonly FileSegment[], partitionCount: number): number {
  const sizes = segments.map(({ from, to }) => (to === null ? Infinity : to - from + 2));
  const needed = Math.max(slabBytesMin, ...sizes);
  const share = slabBytesTotal / (slabsKept * partitionCount);
  return Math.max(slabBytesMin, Math.min(needed, share, slabBytesMax)) >>> 0;
}
