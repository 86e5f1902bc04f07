// What a run reads of a topic, decided once: which topic it is, how many partitions, where each
// begins and, for a bounded run, where it ends.

import { StreamError } from '../../base/stream-error.ts';
import type { Isolation } from '../../ports/kafka-wire.ts';
import type { JsonValue } from '../../schema/data-type.ts';
import { endOfLog, findOffsets, startOfLog } from './find-offsets.ts';
import type { KafkaClient } from './kafka-client.ts';
import { topicRecreated } from './source-errors.ts';

export type KafkaLayout = {
  readonly topicId: string;
  /** By partition. */
  readonly starts: readonly number[];
  /** By partition; null: the run goes on for ever. */
  readonly ends: readonly number[] | null;
};

/** Where a run begins that has no checkpoint to go on from. */
export type KafkaStart =
  | 'earliest'
  | 'latest'
  | { readonly timestamp: number }
  /** By partition; where one is missing: the earliest. */
  | { readonly offsets: { readonly [partition: number]: number } };

export type LayoutOptions = {
  readonly topic: string;
  readonly from: KafkaStart;
  readonly bounded: boolean;
  readonly isolation: Isolation;
};

/**
 * A run that resumes keeps what it has, and gets partitions that were added to the topic since from
 * their first records on.
 */
export async function layOut(
  client: KafkaClient,
  options: LayoutOptions,
  former: KafkaLayout | null,
): Promise<KafkaLayout> {
  const { topic, bounded, isolation } = options;
  const { topicId, partitions } = await client.topic(topic);
  if (former !== null && former.topicId !== topicId) throw topicRecreated({ topic }, topicId);
  const known = former?.starts ?? [];
  const count = Math.max(partitions.length, known.length);
  const added = Array.from({ length: count - known.length }, (_, at) => known.length + at);
  const begin = former === null ? options.from : 'earliest';
  const starts = [...known, ...(await startsOf(client, { ...options, from: begin }, added))];
  if (!bounded) return { topicId, starts, ends: null };
  // A bounded run that resumes reads to the ends that it began with.
  const had = former?.ends ?? [];
  const open = Array.from({ length: count - had.length }, (_, at) => had.length + at);
  const asked = open.map((partition) => ({ topic, partition, timestamp: endOfLog }));
  const ends = [...had, ...(await findOffsets(client, isolation, asked))];
  return { topicId, starts, ends };
}

export function layoutOf(value: JsonValue | undefined): KafkaLayout | null {
  return value === undefined || value === null ? null : (value as unknown as KafkaLayout);
}

async function startsOf(
  client: KafkaClient,
  { topic, from, isolation }: LayoutOptions,
  partitions: readonly number[],
): Promise<readonly number[]> {
  const find = (timestamp: number): Promise<readonly number[]> => {
    const asked = partitions.map((partition) => ({ topic, partition, timestamp }));
    return findOffsets(client, isolation, asked);
  };
  if (from === 'earliest') return find(startOfLog);
  if (from === 'latest') return find(endOfLog);
  if ('timestamp' in from) {
    const [found, ends] = await Promise.all([find(from.timestamp), find(endOfLog)]);
    return found.map((offset, index) => (offset < 0 ? ends[index]! : offset));
  }
  const [firsts, ends] = await Promise.all([find(startOfLog), find(endOfLog)]);
  return partitions.map((partition, index) => {
    const offset = from.offsets[partition] ?? firsts[index]!;
    if (offset >= firsts[index]! && offset <= ends[index]!) return offset;
    const [first, end] = [firsts[index]!, ends[index]!];
    throw new StreamError({
      code: 'offset-out-of-range',
      message: `could not begin at offset ${offset} of topic "${topic}", partition ${partition}`,
      hint: `give an offset from ${first} to ${end}, which is what the partition has`,
      fields: { topic, partition, offset, first, end },
    });
  });
}
