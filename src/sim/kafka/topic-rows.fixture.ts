// Topics of a simulated cluster and the rows in them, without the connector: rows are put into logs
// as other producers would have left them, and read as they stand there.

import type { Random } from '../../base/random.ts';
import { originOf } from '../../connectors/kafka/record-stream.ts';
import type { TopicPartition } from '../../ports/kafka-wire.ts';
import type { SourceChunk, SourcePiece } from '../../ports/source-chunk.ts';
import type { RowObject } from '../../schema/data-type.ts';
import type { ChosenRange } from '../simulated-source.ts';
import { rawRecords } from './batch-bytes.ts';
import { dataBatch, recordsOf } from './kafka-run.fixture.ts';
import type { SimulatedBrokers } from './simulated-brokers.ts';

/** Producers that nobody has asked for: the coordinator gives others. */
const producersFrom = 1_000_000;

/** Writes rows in order, among records that readers of committed ones must not see. */
export function fill(
  brokers: SimulatedBrokers,
  at: TopicPartition,
  { random, rows }: { readonly random: Random; readonly rows: readonly RowObject[] },
): void {
  const log = brokers.log(at);
  const manner = random.pick(['plain', 'transactions', 'transactions']);
  let producerId = producersFrom;
  const write = (values: readonly string[], end: 'none' | 'commit' | 'abort'): void => {
    const records = values.map((value) => ({ value }));
    const producer = end === 'none' ? {} : { producerId, epoch: 0, sequence: 0 };
    log.append(dataBatch({ ...producer, records }), false);
    if (end === 'none') return;
    const committed = end === 'commit';
    log.appendMarker({ producerId, epoch: 0, coordinatorEpoch: 0, committed, bumps: false }, 0);
    producerId++;
  };
  for (let next = 0; next < rows.length;) {
    const count = random.integer(1, 6);
    const values = rows.slice(next, next + count).map((row) => JSON.stringify(row));
    const isPlain = manner === 'plain' || random.chance(0.3);
    if (!isPlain && random.chance(0.2)) write(values, 'abort');
    write(values, isPlain ? 'none' : 'commit');
    next += count;
  }
  log.raiseHighWatermark(log.endOffset);
}

export type TopicRecord = { readonly offset: number; readonly value: Uint8Array };

/** What a reader of committed records is given of a range. */
export function recordsIn(
  brokers: SimulatedBrokers,
  at: TopicPartition,
  { from, to }: ChosenRange,
): readonly TopicRecord[] {
  return brokers
    .log(at)
    .visible('read-committed')
    .flatMap((bytes) => rawRecords(bytes))
    .flatMap(({ offset, value }) => {
      return offset >= from && offset < to && value !== null ? [{ offset, value }] : [];
    });
}

export function chunkOf(
  brokers: SimulatedBrokers,
  at: TopicPartition,
  range: ChosenRange,
): SourceChunk {
  const pieces = recordsIn(brokers, at, range).map(({ offset, value }): SourcePiece => {
    const bytes = Uint8Array.of(...value, 10);
    const place = { origin: originOf(at), originOffset: offset, locate: () => offset };
    return { bytes, start: 0, end: bytes.length, ...place, columns: null };
  });
  const { from, to, ended } = range;
  return {
    from,
    to,
    ended,
    data: pieces.length > 0 ? { kind: 'bytes', pieces } : { kind: 'none' },
  };
}

/** By partition: what readers of committed records see. */
export function visibleRows(
  brokers: SimulatedBrokers,
  topic: string,
): readonly (readonly unknown[])[] {
  return brokers.topic(topic)!.partitions.map(({ log }) => {
    return recordsOf(log.visible('read-committed')).map(({ value }) => JSON.parse(value!));
  });
}
