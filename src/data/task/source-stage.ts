// A stage that scans a source: bytes of whole records (or rows of a connector) through the scanner
// and the stage's kernel, chunk by chunk, to the record of its range. The record of a partition's
// last micro-batch is all its state: so any micro-batch can be replayed by the records around it.

import { assert, unreachable } from '../../base/assert.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { SourceSpec } from '../../plan/logical-plan.ts';
import type { ScanInput } from '../../plan/physical-plan.ts';
import type { SourceChunk, SourceData, SourcePiece } from '../../ports/source-chunk.ts';
import { offsetAt } from '../../ports/source-chunk.ts';
import { rowsToBatch } from '../columnar/rows.ts';
import { decodeUtf8 } from '../columnar/utf8.ts';
import { compileKernel } from '../codegen/kernel.ts';
import type { StageKernel } from '../codegen/kernel.ts';
import type { KernelOptions } from '../codegen/kernel-context.ts';
import type { ScanError, Scanner } from '../codegen/scanner.ts';
import { BadRecords } from './bad-records.ts';
import type { StateDescription } from '../snapshot/state-description.ts';
import { describeState } from './describe-state.ts';
import { PartitionState } from './partition-state.ts';
import type { StateSnapshot } from './partition-state.ts';
import { PieceScanner } from './piece-scanner.ts';
import { SourceRecord } from './source-record.ts';
import { SourceWatermark } from './source-watermark.ts';
import { StageOutput } from './stage-output.ts';
import { TaskOrder } from './task-order.ts';
import type { Allocate, RangeRecord, TaskId, TaskInput, TaskResult } from './task.ts';
import { userError } from './user-error.ts';
import type { InputPlace } from './user-error.ts';

type Scan = Extract<TaskInput, { kind: 'scan' }>;

export type ReplayInput = {
  readonly chunk: SourceChunk;
  readonly known: RangeRecord;
  readonly before: RangeRecord | null;
};

type ScanTask = Omit<Scan, 'kind'> & {
  /** Nothing follows, as the task's own reader or the known range says. */
  readonly ended: boolean;
  readonly before: RangeRecord | null;
};

type SourceResult = TaskResult & { readonly range: RangeRecord };

/** What is scanned in a micro-batch, so far. */
type Progress = { records: number; timeMax: number; bytesIn: number };

export class SourceStage {
  readonly kind = 'source';
  readonly #spec: SourceSpec;
  readonly #scan: ScanInput;
  readonly #kernel: StageKernel;
  readonly #scanners: PieceScanner | null;
  readonly #output: StageOutput;
  readonly #bad: BadRecords;
  readonly #order = new TaskOrder();
  readonly #description: StateDescription;
  /** By partition: the record of its last micro-batch. */
  readonly #records: (RangeRecord | undefined)[] = [];
  /** The chunk of records in the kernel, for errors. */
  #piece: SourcePiece | null = null;
  #chunkStart = 0;

  constructor(options: { readonly kernel: KernelOptions; readonly allocate: Allocate }) {
    const { plan, stage } = options.kernel;
    assert(stage.input.kind === 'scan', 'the stage scans');
    const { scan } = stage.input;
    const spec = plan.sources.find(({ id }) => id === scan.source);
    assert(spec !== undefined, `the plan lists the source ${scan.source}`);
    this.#spec = spec;
    this.#scan = scan;
    this.#scanners = spec.format.kind === 'rows' ? null : new PieceScanner(spec, scan);
    this.#kernel = compileKernel(options.kernel, this.#scanners && this.#scanners.columns);
    this.#output = new StageOutput(this.#kernel, options.allocate);
    this.#bad = new BadRecords(spec);
    this.#description = describeState(plan, stage, options.kernel.partitionCounts);
  }

  run(task: TaskId, { chunk, triggerMs }: Scan): TaskResult {
    this.#order.start(task);
    const before = this.#records[task.partition] ?? null;
    const result = this.#run(task, { chunk, triggerMs, ended: chunk.ended, before });
    this.#records[task.partition] = result.range;
    return result;
  }

  /** See `TaskExecutor.replay`. */
  replay(task: TaskId, { chunk, known, before }: ReplayInput): TaskResult {
    assert(known.partition === task.partition && known.batch === task.batch, 'a range of the task');
    const { from, to } = chunk;
    if (from !== known.from || to !== known.to) {
      throw replayError(this.#spec, known, `got offsets ${from} to ${to}`);
    }
    const { batchTimeMs: triggerMs, ended } = known;
    const result = this.#run(task, { chunk, triggerMs, ended, before });
    const difference = recordDifference(known, result.range);
    if (difference !== null) throw replayError(this.#spec, known, difference);
    return result;
  }

  /** See `TaskExecutor.snapshot`: always a base. */
  snapshot(partition: number): StateSnapshot {
    const record = this.#records[partition];
    assert(record !== undefined, `partition ${partition} has had a task`);
    const { whole } = this.#stateOf(partition, record);
    return whole.snapshot(record.batch, 'base');
  }

  restore(partition: number, snapshots: readonly Uint8Array[]): void {
    assert(this.#records[partition] === undefined, `partition ${partition} has not had a task`);
    const { part, whole } = this.#stateOf(partition, null);
    whole.restore(snapshots);
    this.resume(partition, part.record!);
  }

  resume(partition: number, record: RangeRecord): void {
    this.#records[partition] = record;
    this.#order.resume(partition, record.batch);
  }

  renumber(partition: number, batch: number): void {
    this.#order.renumber(partition, batch);
  }

  rangeOf(partition: number): RangeRecord | null {
    return this.#records[partition] ?? null;
  }

  forget(partition: number): void {
    this.#records[partition] = undefined;
    this.#order.forget(partition);
  }

  #stateOf(
    partition: number,
    record: RangeRecord | null,
  ): { readonly part: SourceRecord; readonly whole: PartitionState } {
    const part = new SourceRecord(this.#spec.id, partition, record);
    // A source may get more partitions, and each stays what it is.
    const identity = { description: this.#description, partition, partitionCount: 0 };
    return { part, whole: new PartitionState(identity, [part]) };
  }

  #run(task: TaskId, { chunk, triggerMs, ended, before }: ScanTask): SourceResult {
    const { calls } = this.#kernel.context;
    const watermark = new SourceWatermark(this.#spec.watermark, before);
    calls.begin({ ...task, batchTimeMs: triggerMs });
    this.#piece = null;
    const progress: Progress = { records: 0, timeMax: -Infinity, bytesIn: 0 };
    try {
      this.#read(chunk, { progress, triggerMs, boundMs: watermark.boundMs });
    } catch (error) {
      this.#output.discard();
      this.#bad.reset();
      throw userError(error, { calls, where: () => this.#place(triggerMs) });
    }
    const { records, timeMax } = progress;
    watermark.advance({ records, timeMax, batchTimeMs: triggerMs, ended });
    const range: RangeRecord = {
      source: this.#spec.id,
      partition: task.partition,
      batch: task.batch,
      from: chunk.from,
      to: chunk.to,
      batchTimeMs: triggerMs,
      watermarkMs: watermark.watermarkMs,
      idle: watermark.idle,
      wasIdle: watermark.wasIdle,
      activeMs: watermark.activeMs,
      ended: watermark.ended,
    };
    return this.#result(range, progress);
  }

  #result(range: RangeRecord, progress: Progress): SourceResult {
    const { watermarkMs, idle, batchTimeMs } = range;
    const outputs = this.#output.takeExchanges({ watermarkMs, idle, batchTimeMs });
    const sinks = this.#output.takeSinks();
    this.#bad.takeLetters(sinks);
    let rowsOut = 0;
    for (const { batch } of sinks) rowsOut += batch.rowCount;
    const counts = {
      recordsIn: progress.records,
      recordsBad: this.#bad.count,
      recordsLate: this.#kernel.context.calls.lateRows,
      bytesIn: progress.bytesIn,
      rowsOut,
    };
    this.#bad.count = 0;
    return { outputs, sinks, range, watermarkMs, counts };
  }

  #read(chunk: SourceChunk, task: ReadTask): void {
    const { data } = chunk;
    switch (data.kind) {
      case 'none':
        return;
      case 'bytes':
        for (const piece of data.pieces) this.#readPiece(piece, task);
        return;
      case 'rows':
        return this.#readRows(data, chunk.from, task);
      default:
        return unreachable(data);
    }
  }

  #readPiece(piece: SourcePiece, { progress, triggerMs, boundMs }: ReadTask): void {
    const { bytes, end } = piece;
    const scanner = this.#scanners!.scannerOf(piece);
    const scan = this.#kernel.functions.scan!;
    this.#piece = piece;
    progress.bytesIn += end - piece.start;
    for (let position = piece.start; position < end; position = scanner.position) {
      this.#chunkStart = position;
      const rowCount = scanner.scan(bytes, position, end, triggerMs);
      progress.records += scanner.records;
      if (scanner.timeMax > progress.timeMax) progress.timeMax = scanner.timeMax;
      if (scanner.errors.length > 0) this.#takeErrors(piece, scanner.errors);
      if (rowCount > 0) scan(bytes, scanner.scratch, rowCount, boundMs);
    }
    this.#piece = null;
  }

  #takeErrors(piece: SourcePiece, errors: readonly ScanError[]): void {
    const { bytes, origin } = piece;
    for (const error of errors) {
      this.#bad.take({
        code: error.code,
        message: error.message,
        origin,
        offset: offsetAt(piece, error.start),
        faultOffset: offsetAt(piece, error.offset),
        field: error.field,
        record: () => decodeUtf8(bytes, error.start, error.end),
      });
    }
  }

  #readRows({ rows, places }: SourceRows, from: number, task: ReadTask): void {
    const { progress, triggerMs, boundMs } = task;
    const { fields, timeColumn } = this.#scan;
    const timeField = fields.findIndex(({ name }) => name === timeColumn);
    const origin = places?.origin ?? this.#spec.description;
    for (const { code, message, offset, record } of places?.bad ?? []) {
      const text = (): string => record;
      this.#bad.take({
        code,
        message,
        origin,
        offset,
        faultOffset: offset,
        field: null,
        record: text,
      });
    }
    let bad = 0;
    const batch = rowsToBatch({ fields }, rows, {
      nowMs: triggerMs,
      timeAheadMsMax: this.#spec.watermark.aheadMsMax,
      timeField,
      onBad: (error) => {
        bad++;
        const offset = places === undefined ? from + error.row : places.offsets[error.row]!;
        this.#bad.take({
          code: error.code,
          message: error.message,
          origin,
          offset,
          faultOffset: offset,
          field: error.field,
          record: () => textOf(rows[error.row]),
        });
      },
    });
    progress.records += rows.length - bad;
    const times = batch.vectors[timeField];
    if (times?.kind === 'number') {
      for (let row = 0; row < batch.rowCount; row++) {
        const isNull = times.valid !== null && times.valid[row] === 0;
        if (!isNull && times.values[row]! > progress.timeMax) progress.timeMax = times.values[row]!;
      }
    }
    if (batch.rowCount === 0) return;
    this.#kernel.functions.rows!(batch.vectors, batch.rowCount, boundMs);
  }

  /** Where the row is that the kernel was at. */
  #place(triggerMs: number): InputPlace | null {
    const piece = this.#piece;
    if (piece === null) return null;
    const { row } = this.#kernel.context.calls;
    const scanner: Scanner = this.#scanners!.scannerOf(piece);
    const { bytes, end, origin } = piece;
    let position = this.#chunkStart;
    if (this.#spec.format.kind === 'json-lines') {
      // Line by line this time, to see which one makes the row.
      for (let rows = 0; position < end;) {
        const newline = bytes.indexOf(0x0a, position);
        const next = newline < 0 || newline >= end ? end : newline + 1;
        rows += scanner.scan(bytes, position, next, triggerMs);
        if (rows > row) break;
        position = next;
      }
    }
    return { origin, offset: offsetAt(piece, position) };
  }
}

type SourceRows = Extract<SourceData, { readonly kind: 'rows' }>;

type ReadTask = {
  readonly progress: Progress;
  readonly triggerMs: number;
  readonly boundMs: number;
};

/** What a replay decided otherwise than the first run; null: nothing. */
function recordDifference(known: RangeRecord, replayed: RangeRecord): string | null {
  for (const name of ['watermarkMs', 'idle', 'wasIdle', 'activeMs', 'ended'] as const) {
    if (known[name] !== replayed[name]) {
      return `${name} was ${known[name]} and is ${replayed[name]} now`;
    }
  }
  return null;
}

function replayError(source: SourceSpec, known: RangeRecord, difference: string): StreamError {
  const { partition, batch, from, to } = known;
  return new StreamError({
    code: 'replay-differs',
    message:
      `could not replay micro-batch ${batch} of source "${source.name}", partition ${partition}, ` +
      `offsets ${from} to ${to}: ${difference}`,
    hint: 'what was read before must be there unchanged; keep the records of the source longer',
    fields: { source: source.name, partition, batch, from, to },
  });
}

function textOf(row: unknown): string {
  const plain = (_name: string, value: unknown): unknown =>
    typeof value === 'bigint' ? value.toString() : value;
  return JSON.stringify(row, plain) ?? String(row);
}
