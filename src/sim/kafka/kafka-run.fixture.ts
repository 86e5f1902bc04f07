// Runs asynchronous code over a simulated cluster: whenever nothing is left to do at one moment,
// the clock goes on to the next event.

import { Random } from '../../base/random.ts';
import { batchHeadBytes } from '../../connectors/kafka/record-batch.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { batchOfRecords, headOf, rawRecords } from './batch-bytes.ts';
import { noKafkaFaults } from './kafka-faults.ts';
import type { SimulatedKafkaOptions } from './simulated-kafka.ts';
import { SimulatedKafka } from './simulated-kafka.ts';

export const startMs = 1_700_000_000_000;

type RunOptions = {
  readonly clock: VirtualClock;
  readonly kafka: SimulatedKafka;
  readonly limitMs?: number;
};

export const calmKafka: SimulatedKafkaOptions = {
  brokerCount: 3,
  transactionVersion: 2,
  verifies: true,
  epochMin: 0,
  epochMax: 32_766,
  replicationMsMax: 1,
  decideMsMax: 1,
  markerMsMax: 3,
  latencyMsMax: 1,
  timeoutMs: 500,
  faults: noKafkaFaults,
};

export function newKafka(
  seed: number,
  options: Partial<SimulatedKafkaOptions> = {},
): { readonly clock: VirtualClock; readonly kafka: SimulatedKafka; readonly random: Random } {
  const random = new Random(seed);
  const clock = new VirtualClock(random.fork(), startMs);
  const kafka = new SimulatedKafka(clock, random.fork(), { ...calmKafka, ...options });
  return { clock, kafka, random };
}

/** Rejects when it stands still, or takes longer than `limitMs`. */
export async function runInTime<Result>(
  { clock, ...of }: RunOptions,
  work: Promise<Result>,
): Promise<Result> {
  const { kafka, limitMs = 600_000 } = of;
  const endMs = clock.nowMs + limitMs;
  let isOver = false;
  const over = (): void => void (isOver = true);
  work.then(over, over);
  await turn();
  while (!isOver) {
    const { heard } = kafka;
    if (!clock.advance()) throw new Error('it waits for something that never comes');
    if (clock.nowMs > endMs) throw new Error(`it is not done after ${limitMs} ms`);
    if (kafka.heard !== heard) await turn();
  }
  return work;
}

/** Until all that can go on at this moment has. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A batch of a producer, without compression. */
export function dataBatch(options: {
  readonly producerId?: number;
  readonly epoch?: number;
  readonly sequence?: number;
  readonly transactional?: boolean;
  readonly records: readonly { readonly key?: string; readonly value: string }[];
}): Uint8Array {
  const { producerId = -1, epoch = -1, sequence = -1, records } = options;
  const head = {
    baseOffset: 0,
    leaderEpoch: -1,
    magic: 2,
    compression: 'none' as const,
    appendTime: false,
    transactional: options.transactional ?? producerId >= 0,
    control: false,
    lastOffsetDelta: records.length - 1,
    baseTimestampMs: startMs,
    maxTimestampMs: startMs,
    producerId,
    producerEpoch: epoch,
    baseSequence: sequence,
    records: records.length,
  };
  return batchOfRecords(head, records.map(recordBytes));
}

/** Keys and values of batches, as texts. */
export function recordsOf(
  batches: readonly Uint8Array[],
): { readonly key: string | null; readonly value: string | null }[] {
  const decoder = new TextDecoder();
  const text = (bytes: Uint8Array | null): string | null => {
    return bytes === null ? null : decoder.decode(bytes);
  };
  return batches.flatMap((bytes) => {
    return rawRecords(plain(bytes)).map(({ key, value }) => ({
      key: text(key),
      value: text(value),
    }));
  });
}

/** Undoes what the simulated codecs do. */
export function plain(bytes: Uint8Array): Uint8Array {
  const head = headOf(bytes);
  if (head.compression === 'none') return bytes;
  const records = bytes.subarray(batchHeadBytes).map((byte) => byte ^ 0x5a);
  return batchOfRecords({ ...head, compression: 'none' }, [records]);
}

function recordBytes(
  { key, value }: { readonly key?: string; readonly value: string },
  index: number,
): Uint8Array {
  const encoder = new TextEncoder();
  const keyBytes = key === undefined ? null : encoder.encode(key);
  const valueBytes = encoder.encode(value);
  const body = [
    0,
    ...varint(0),
    ...varint(index),
    ...varint(keyBytes === null ? -1 : keyBytes.length),
    ...(keyBytes ?? []),
    ...varint(valueBytes.length),
    ...valueBytes,
    ...varint(0),
  ];
  return Uint8Array.from([...varint(body.length), ...body]);
}

function varint(value: number): readonly number[] {
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  const bytes: number[] = [];
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  return bytes;
}
