// A record batch put together by hand, of records that have only a value.

import { crc32c } from '../../src/base/crc32c.ts';
import {
  batchHeadBytes,
  crcFromByte,
  writeBatchHead,
} from '../../src/connectors/kafka/record-batch.ts';
import { socketCodecs } from '../../src/connectors/kafka/sockets/codecs.ts';
import type { KafkaCompression } from '../../src/ports/kafka-wire.ts';

export type BatchOptions = {
  readonly producerId?: number;
  readonly epoch?: number;
  readonly sequence?: number;
  readonly transactional?: boolean;
  readonly compression?: KafkaCompression;
  readonly timestampMs?: number;
};

export function recordBatch(values: readonly string[], options: BatchOptions = {}): Uint8Array {
  const records = values.map((value, index) => {
    const text = Buffer.from(value);
    // Attributes, then the differences of time and offset, no key, the value, no headers.
    const body = [0, ...zigzag(0), ...zigzag(index), ...zigzag(-1), ...zigzag(text.length)];
    return Buffer.from([...zigzag(body.length + text.length + 1), ...body, ...text, ...zigzag(0)]);
  });
  const { compression = 'none', timestampMs = 1_000 } = options;
  const packed = socketCodecs.compress(compression, Buffer.concat(records));
  const bytes = Buffer.concat([Buffer.alloc(batchHeadBytes), packed]);
  writeBatchHead(bytes, {
    baseOffset: 0,
    leaderEpoch: -1,
    magic: 2,
    compression,
    appendTime: false,
    transactional: options.transactional ?? false,
    control: false,
    lastOffsetDelta: values.length - 1,
    baseTimestampMs: timestampMs,
    maxTimestampMs: timestampMs,
    producerId: options.producerId ?? -1,
    producerEpoch: options.epoch ?? -1,
    baseSequence: options.sequence ?? -1,
    records: values.length,
  });
  bytes.writeUInt32BE(crc32c(bytes, crcFromByte), crcFromByte - 4);
  return bytes;
}

function zigzag(value: number): number[] {
  const bytes: number[] = [];
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
  return [...bytes, rest];
}
