// The head of a record batch (magic 2), as it stands in the log, in fetched and in produced bytes.
// [Kafka protocol: record batch, https://kafka.apache.org/documentation/#recordbatch]

import type { KafkaCompression } from '../../ports/kafka-wire.ts';

export type BatchHead = {
  readonly baseOffset: number;
  /** Bytes of the whole batch, this head included. */
  readonly bytes: number;
  readonly leaderEpoch: number;
  readonly magic: number;
  /** CRC-32C of everything from the attributes on. */
  readonly crc: number;
  readonly compression: KafkaCompression | null;
  /** Whether the broker's time of appending, `maxTimestampMs`, is every record's timestamp. */
  readonly appendTime: boolean;
  readonly transactional: boolean;
  /** A marker of the end of a transaction, no data. */
  readonly control: boolean;
  readonly lastOffsetDelta: number;
  readonly baseTimestampMs: number;
  readonly maxTimestampMs: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly records: number;
};

const compressions: readonly KafkaCompression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

/** Records begin here. */
export const batchHeadBytes = 61;
/** The checksum is of what follows from here on. */
export const crcFromByte = 21;
/** In front of what the length counts. */
const lengthFromByte = 12;

/** The head of the batch that starts at an offset; null: it is cut off there, as a fetch may be. */
export function batchHeadAt(bytes: Uint8Array, at: number): BatchHead | null {
  if (bytes.length - at < batchHeadBytes) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, batchHeadBytes);
  const whole = lengthFromByte + view.getInt32(8);
  if (whole < batchHeadBytes || whole > bytes.length - at) return null;
  const attributes = view.getInt16(21);
  return {
    baseOffset: Number(view.getBigInt64(0)),
    bytes: whole,
    leaderEpoch: view.getInt32(12),
    magic: view.getInt8(16),
    crc: view.getUint32(17),
    compression: compressions[attributes & 7] ?? null,
    appendTime: (attributes & 8) !== 0,
    transactional: (attributes & 16) !== 0,
    control: (attributes & 32) !== 0,
    lastOffsetDelta: view.getInt32(23),
    baseTimestampMs: Number(view.getBigInt64(27)),
    maxTimestampMs: Number(view.getBigInt64(35)),
    producerId: Number(view.getBigInt64(43)),
    producerEpoch: view.getInt16(51),
    baseSequence: view.getInt32(53),
    records: view.getInt32(57),
  };
}

/** Writes the head of a batch of which everything from byte 61 on is there. Not the checksum. */
export function writeBatchHead(bytes: Uint8Array, head: Omit<BatchHead, 'crc' | 'bytes'>): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const compression = compressions.indexOf(head.compression ?? 'none');
  const flags = (head.appendTime ? 8 : 0) | (head.transactional ? 16 : 0) | (head.control ? 32 : 0);
  view.setBigInt64(0, BigInt(head.baseOffset));
  view.setInt32(8, bytes.length - lengthFromByte);
  view.setInt32(12, head.leaderEpoch);
  view.setInt8(16, head.magic);
  view.setInt16(21, compression | flags);
  view.setInt32(23, head.lastOffsetDelta);
  view.setBigInt64(27, BigInt(head.baseTimestampMs));
  view.setBigInt64(35, BigInt(head.maxTimestampMs));
  view.setBigInt64(43, BigInt(head.producerId));
  view.setInt16(51, head.producerEpoch);
  view.setInt32(53, head.baseSequence);
  view.setInt32(57, head.records);
}
