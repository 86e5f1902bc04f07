// Whether the topic of a sink's ledger is one that may be believed: that nobody has deleted it, and
// that no retention takes away what it says.

import { StreamError } from '../../base/stream-error.ts';
import type { NewTopic, TopicMetadata } from '../../ports/kafka-wire.ts';
import { kafkaErrors } from './error-codes.ts';
import { endOfLog, findOffsets } from './find-offsets.ts';
import type { KafkaClient } from './kafka-client.ts';

/** A broker that has just started may not know a topic, nor any a new one, for so long, ms. */
const unknownMsMax = 5_000;
const pauseMs = 50;

export type LedgerOf = { readonly ledger: string; readonly topic: string };

/** The ledger, made where nothing can be visible yet. Rejects with `ledger-missing`. */
export async function openLedgerTopic(
  client: KafkaClient,
  topic: NewTopic,
  of: { readonly topic: string; readonly mustBeThere: boolean },
): Promise<TopicMetadata> {
  const ledger = topic.topic;
  const found = await client.findTopic(ledger);
  if (found !== null) return checked(client, found, of.topic);
  if (of.mustBeThere && (await hasRecords(client, of.topic))) {
    return checked(client, await knownLedger(client, { ledger, topic: of.topic }), of.topic);
  }
  const isOurs = await client.createTopic(topic);
  const made = await awaitedTopic(client, ledger);
  return isOurs ? made : checked(client, made, of.topic);
}

/** Waits for brokers to learn of it, not for somebody to make it. */
export async function knownLedger(client: KafkaClient, of: LedgerOf): Promise<TopicMetadata> {
  for (let waitedMs = 0; ; waitedMs += pauseMs) {
    if ((await client.findTopic(of.ledger)) !== null) return awaitedTopic(client, of.ledger);
    if (waitedMs >= unknownMsMax) throw ledgerMissing(of);
    await client.sleep(pauseMs);
  }
}

/** The topic was made a moment ago: brokers learn of it one after the other. */
export async function awaitedTopic(client: KafkaClient, topic: string): Promise<TopicMetadata> {
  const attempt = { what: `find the topic "${topic}"`, at: client.wire.description };
  return client.retried(attempt, async () => {
    const found = await client.findTopic(topic);
    if (found === null) return { again: kafkaErrors.unknownTopicOrPartition };
    const hasLeaders = found.partitions.every(({ leader }) => leader >= 0);
    return hasLeaders ? { done: found } : { again: kafkaErrors.leaderNotAvailable };
  });
}

export function ledgerMissing({ ledger, topic }: LedgerOf): StreamError {
  return new StreamError({
    code: 'ledger-missing',
    message:
      `could not go on writing to "${topic}": its ledger "${ledger}", which says what is ` +
      'visible, is gone',
    hint:
      'bring the topic back with its records, or begin a new history (--fresh), which may write ' +
      'again what is there; where this sink has never written, create it with ' +
      'cleanup.policy=compact',
    fields: { topic, ledger },
  });
}

/** Whether anything was ever written to it, by whomever. */
async function hasRecords(client: KafkaClient, topic: string): Promise<boolean> {
  const { partitions } = await client.topic(topic);
  const asked = partitions.map(({ partition }) => ({ topic, partition, timestamp: endOfLog }));
  return (await findOffsets(client, 'read-uncommitted', asked)).some((offset) => offset > 0);
}

async function checked(
  client: KafkaClient,
  found: TopicMetadata,
  topic: string,
): Promise<TopicMetadata> {
  const policy = await client.topicConfig(found.topic, 'cleanup.policy');
  if (policy === null || policy === 'compact') return found;
  throw new StreamError({
    code: 'ledger-policy',
    message:
      `could not use "${found.topic}" as the ledger of "${topic}": its cleanup.policy is ` +
      `"${policy}", so it forgets what is visible`,
    hint:
      'set cleanup.policy=compact on it; where it may have forgotten already, begin anew ' +
      '(--fresh)',
    fields: { topic, ledger: found.topic, policy },
  });
}
