// Offsets of partitions by time, or of their ends, from their leaders: one request a broker.

import { kafkaErrors } from './error-codes.ts';
import type { KafkaClient, Outcome } from './kafka-client.ts';
import { isWireFailure } from './kafka-errors.ts';
import type { Isolation, OffsetAsked, OffsetFound } from '../../ports/kafka-wire.ts';

/** For `OffsetAsked.timestamp`. */
export const endOfLog = -1;
export const startOfLog = -2;

/** In the order of what is asked; all of one topic. */
export async function findOffsets(
  client: KafkaClient,
  isolation: Isolation,
  asked: readonly OffsetAsked[],
): Promise<readonly number[]> {
  const [first] = asked;
  if (first === undefined) return [];
  const { topic } = first;
  const attempt = { what: `find offsets of the topic "${topic}"`, at: client.wire.description };
  const forget = (): void => client.forgetLeaders(topic);
  return client.retried(attempt, async (): Promise<Outcome<readonly number[]>> => {
    const byBroker = new Map<number, OffsetAsked[]>();
    for (const each of asked) {
      const { broker } = await client.leader(each);
      byBroker.set(broker, [...(byBroker.get(broker) ?? []), each]);
    }
    let found: OffsetFound[];
    try {
      const answers = [...byBroker].map(([broker, part]) =>
        client.wire.listOffsets(broker, isolation, part),
      );
      found = (await Promise.all(answers)).flat();
    } catch (error) {
      if (!isWireFailure(error)) throw error;
      return { again: error, forget };
    }
    const offsets: number[] = [];
    for (const { partition } of asked) {
      const answer = found.find((each) => each.partition === partition);
      const error = answer?.error ?? kafkaErrors.unknownTopicOrPartition;
      if (error !== kafkaErrors.none) return { again: error, forget };
      offsets.push(answer!.offset);
    }
    return { done: offsets };
  });
}
