// The bytes of range records, as they travel between workers and as the range log keeps them.

import { ByteReader } from '../../control/protocol/byte-reader.ts';
import { ByteWriter } from '../../control/protocol/byte-writer.ts';
import type { HandleCodec } from '../../control/protocol/handle-codec.ts';
import { batchNumberMax, partitionsMax } from '../../control/limits.ts';
import type { RangeRecord } from '../../data/task/task.ts';
import type { SourceId } from '../../plan/logical-plan.ts';

/** `sources`: those of the plan, in its order. */
export function rangeCodec(sources: readonly SourceId[]): HandleCodec {
  const numbers = new Map(sources.map((id, number) => [id, number]));
  return {
    write: (to, handle) => {
      const range = handle as RangeRecord;
      to.varint(numbers.get(range.source)!);
      to.varint(range.partition);
      to.varint(range.batch + 1);
      to.f64(range.from);
      to.f64(range.to);
      to.f64(range.batchTimeMs);
      to.f64(range.watermarkMs);
      to.f64(range.activeMs);
      to.u8((range.idle ? 1 : 0) | (range.ended ? 2 : 0) | (range.wasIdle ? 4 : 0));
    },
    read: (from): RangeRecord => {
      const source = sources[from.varint('source', sources.length - 1)]!;
      const partition = from.varint('partition', partitionsMax);
      const batch = from.varint('micro-batch', batchNumberMax + 1) - 1;
      const start = from.f64('offset');
      const end = from.f64('offset');
      const batchTimeMs = from.f64('batch time');
      const watermarkMs = from.f64('watermark');
      const activeMs = from.f64('activity');
      const flags = from.u8('flags');
      if (!(Number.isFinite(start) && Number.isFinite(end))) from.refuse('out-of-range', 'offset');
      if (flags > 7) from.refuse('out-of-range', 'flags');
      return {
        source,
        partition,
        batch,
        from: start,
        to: end,
        batchTimeMs,
        watermarkMs,
        activeMs,
        idle: (flags & 1) !== 0,
        wasIdle: (flags & 4) !== 0,
        ended: (flags & 2) !== 0,
      };
    },
  };
}

/**
 * The records of one source task, one for each of its parts, as an entry of the range log. Whose
 * they are is said beside them, so that they mean the same under a plan with other sources.
 */
export function encodeRanges(source: SourceId, parts: readonly RangeRecord[]): Uint8Array {
  const codec = codecOf(source);
  const writer = new ByteWriter();
  writer.varint(parts.length);
  for (const part of parts) codec.write(writer, part);
  return Buffer.concat(writer.finish());
}

/** What a driver reads after a loss is thousands of records of a few sources. */
const codecs = new Map<SourceId, HandleCodec>();

function codecOf(source: SourceId): HandleCodec {
  let codec = codecs.get(source);
  if (codec === undefined) codecs.set(source, (codec = rangeCodec([source])));
  return codec;
}

/** Null: these are no records of a source. */
export function decodeRanges(source: SourceId, bytes: Uint8Array): RangeRecord[] | null {
  const codec = codecOf(source);
  const reader = new ByteReader(bytes);
  const parts: RangeRecord[] = [];
  const count = reader.count('parts', bytes.length);
  for (let index = 0; index < count && reader.ok; index++) {
    parts.push(codec.read(reader) as RangeRecord);
  }
  const decoded = reader.finish(parts);
  return decoded.ok && parts.length > 0 ? decoded.value : null;
}
