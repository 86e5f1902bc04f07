// Reads topics that the connector keeps for itself, a partition at a time: all of it, whatever
// transactions are open, since their readers judge for themselves what counts.

import type { FetchedPartition, TopicPartition } from '../../ports/kafka-wire.ts';
import { kafkaErrors } from './error-codes.ts';
import { endOfLog, findOffsets, startOfLog } from './find-offsets.ts';
import type { KafkaClient } from './kafka-client.ts';

export type OwnFetch = {
  /** For messages: `read the ledger "t"`. */
  readonly what: string;
  readonly offset: number;
  readonly waitMs: number;
  readonly bytesMax: number;
  /** Codes that are answers, too. */
  readonly expected?: readonly number[];
};

/** `offset` is known to be in the log: another leader may have to catch up first. */
export function fetchOwn(
  client: KafkaClient,
  at: TopicPartition,
  { what, offset, waitMs, bytesMax, expected = [] }: OwnFetch,
): Promise<FetchedPartition> {
  return client.askLeader(what, at, {
    expected,
    ask: async ({ broker, epoch, topicId }) => {
      const { topic, partition } = at;
      const asked = { topic, partition, topicId, leaderEpoch: epoch, offset, bytesMax };
      const isolation = 'read-uncommitted';
      const request = { waitMs, bytesMin: 1, bytesMax, isolation, partitions: [asked] } as const;
      const answers = await client.wire.fetchRecords(broker, request);
      return answers.map((answer) => {
        const lacksIt = answer.error === kafkaErrors.none && answer.records.length === 0;
        return lacksIt ? { ...answer, error: kafkaErrors.offsetNotAvailable } : answer;
      });
    },
  });
}

export async function startOfOwn(client: KafkaClient, at: TopicPartition): Promise<number> {
  return offsetOf(client, at, startOfLog);
}

export async function endOfOwn(client: KafkaClient, at: TopicPartition): Promise<number> {
  return offsetOf(client, at, endOfLog);
}

async function offsetOf(
  client: KafkaClient,
  { topic, partition }: TopicPartition,
  timestamp: number,
): Promise<number> {
  const asked = [{ topic, partition, timestamp }];
  const [offset] = await findOffsets(client, 'read-uncommitted', asked);
  return offset!;
}
