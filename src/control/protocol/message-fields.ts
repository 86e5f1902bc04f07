// Fields that messages of more than one direction have: numbers of micro-batches, places, spans,
// lists. What is read here is bounded and consistent by itself; what it refers to is checked by
// whoever knows the template.

import {
  batchNumberMax,
  partitionsMax,
  placesMax,
  rangesMax,
  stagesMax,
  workersMax,
} from '../limits.ts';
import type { ByteReader, Decoded } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { HandleCodec, MessageCodecs } from './handle-codec.ts';
import type { BatchNumber, Incarnation, Term, WorkerId } from './ids.ts';
import type {
  BatchSpan,
  Handle,
  KnownRanges,
  PartitionSnapshot,
  Place,
  TaskName,
  WorkerLife,
} from './messages.ts';

/** How every message of a worker begins, behind its kind. */
export type Signature = { readonly term: Term; readonly incarnation: Incarnation };

export function writeSignature(to: ByteWriter, { term, incarnation }: Signature): void {
  to.varint(term);
  to.varint(incarnation);
}

export function readSignature(from: ByteReader): Signature {
  const term = from.varint('term') as Term;
  return { term, incarnation: from.varint('incarnation') as Incarnation };
}

/** `noBatch`, which is -1, is 0 on the wire. */
export function writeBatchNumber(to: ByteWriter, batch: BatchNumber): void {
  to.varint(batch + 1);
}

export function readBatchNumber(from: ByteReader, what: string): BatchNumber {
  return (from.varint(what, batchNumberMax + 1) - 1) as BatchNumber;
}

export function writePlace(to: ByteWriter, { stage, partition }: Place): void {
  to.varint(stage);
  to.varint(partition);
}

export function readPlace(from: ByteReader): Place {
  const stage = from.varint('stage', stagesMax);
  return { stage, partition: from.varint('partition', partitionsMax) };
}

export function writeTask(to: ByteWriter, task: TaskName): void {
  writePlace(to, task);
  writeBatchNumber(to, task.batch);
}

export function readTask(from: ByteReader): TaskName {
  const place = readPlace(from);
  return { ...place, batch: readBatchNumber(from, 'micro-batch') };
}

export function writeNumbers(to: ByteWriter, numbers: readonly number[]): void {
  to.varint(numbers.length);
  for (const number of numbers) to.varint(number);
}

export function readNumbers(
  from: ByteReader,
  what: string,
  max: { readonly count: number; readonly value: number },
): readonly number[] {
  return readList(from, { what, max: max.count }, () => from.varint(what, max.value));
}

export function writeList<Item>(
  to: ByteWriter,
  items: readonly Item[],
  write: (item: Item) => void,
): void {
  to.varint(items.length);
  for (const item of items) write(item);
}

/** Items take at least a byte each. */
export function readList<Item>(
  from: ByteReader,
  { what, max }: { readonly what: string; readonly max: number },
  read: () => Item,
): readonly Item[] {
  const items: Item[] = [];
  const count = from.count(what, max);
  for (let index = 0; index < count && from.ok; index++) items.push(read());
  return items;
}

export function writeOptional(to: ByteWriter, handle: Handle | null, codec: HandleCodec): void {
  to.flag(handle !== null);
  if (handle !== null) codec.write(to, handle);
}

export function readOptional(from: ByteReader, what: string, codec: HandleCodec): Handle | null {
  return from.flag(what) ? codec.read(from) : null;
}

export function writeLife(to: ByteWriter, { worker, incarnation }: WorkerLife): void {
  to.varint(worker);
  to.varint(incarnation);
}

export function readLife(from: ByteReader): WorkerLife {
  const worker = from.varint('worker', workersMax) as WorkerId;
  return { worker, incarnation: from.varint('incarnation') as Incarnation };
}

export function writeSnapshots(
  to: ByteWriter,
  snapshots: readonly PartitionSnapshot[],
  codecs: MessageCodecs,
): void {
  writeList(to, snapshots, (one) => {
    writePlace(to, one);
    codecs.snapshot.write(to, one.snapshot);
    writeOptional(to, one.range, codecs.range);
  });
}

export function readSnapshots(
  from: ByteReader,
  codecs: MessageCodecs,
): readonly PartitionSnapshot[] {
  return readList(from, { what: 'snapshots', max: placesMax }, () => {
    const place = readPlace(from);
    const snapshot = codecs.snapshot.read(from);
    return { ...place, snapshot, range: readOptional(from, 'last range', codecs.range) };
  });
}

export function writeKnownRanges(
  to: ByteWriter,
  all: readonly KnownRanges[],
  codec: HandleCodec,
): void {
  writeList(to, all, (known) => {
    writePlace(to, known);
    writeBatchNumber(to, known.first);
    writeList(to, known.ranges, (parts) => writeList(to, parts, (part) => codec.write(to, part)));
  });
}

/** All of them together are no more than one message may have. */
export function readKnownRanges(from: ByteReader, codec: HandleCodec): readonly KnownRanges[] {
  let left = rangesMax;
  return readList(from, { what: 'known partitions', max: rangesMax }, () => {
    const place = readPlace(from);
    const first = readBatchNumber(from, 'first micro-batch');
    const ranges = readList(from, { what: 'ranges', max: left }, () => {
      const parts = readList(from, { what: 'parts', max: left }, () => codec.read(from));
      if (parts.length === 0) from.refuse('out-of-range', 'parts');
      left -= parts.length;
      return parts;
    });
    if (first < 0 || ranges.length === 0) from.refuse('out-of-range', 'ranges');
    return { ...place, first, ranges };
  });
}

export type PlaceSpans = Place & { readonly spans: readonly BatchSpan[] };

export function writeSpans(to: ByteWriter, all: readonly PlaceSpans[]): void {
  writeList(to, all, (one) => {
    writePlace(to, one);
    writeList(to, one.spans, ({ first, end }) => {
      writeBatchNumber(to, first);
      writeBatchNumber(to, end);
    });
  });
}

/** Of each partition ascending, none of them empty; together no more than a message may have. */
export function readSpans(from: ByteReader, what: string): readonly PlaceSpans[] {
  let left = rangesMax;
  return readList(from, { what, max: placesMax }, () => {
    const place = readPlace(from);
    let before = -1;
    const spans = readList(from, { what, max: left }, () => {
      const first = readBatchNumber(from, what);
      const end = readBatchNumber(from, what);
      if (first < Math.max(before, 0) || end <= first) from.refuse('out-of-range', what);
      before = end;
      return { first, end };
    });
    if (spans.length === 0) from.refuse('out-of-range', what);
    left -= spans.length;
    return { ...place, spans };
  });
}

export function readDuration(from: ByteReader, what: string): number {
  const value = readFinite(from, what);
  if (value >= 0) return value;
  from.refuse('out-of-range', what);
  return 0;
}

export function readFinite(from: ByteReader, what: string): number {
  const value = from.f64(what);
  if (Number.isFinite(value)) return value;
  from.refuse('out-of-range', what);
  return 0;
}

export function unknownKind<T>(from: ByteReader): Decoded<T> {
  from.refuse('unknown-kind', 'message kind');
  // The refusal is what is given; there is no value.
  return from.finish(undefined as T);
}
