// A range log in Kafka, for the runtime: found by its address, with connections of its own.

import { hashText } from '../../../base/hash.ts';
import type { KafkaLogAddress } from '../../../ports/kafka-address.ts';
import type { RangeLog } from '../../../ports/range-log.ts';
import { patienceMsDefault, resolveAddress } from '../kafka-address.ts';
import { KafkaClient } from '../kafka-client.ts';
import { KafkaRangeLog } from '../kafka-range-log.ts';
import { socketPlatform } from './platform.ts';

export function openKafkaLog(
  address: KafkaLogAddress,
  owner: { readonly pipeline: string; readonly history: string },
): RangeLog {
  const platform = socketPlatform;
  const wire = platform.open(resolveAddress(address, platform));
  const { patienceMs = patienceMsDefault, replication = -1 } = address;
  const client = new KafkaClient(wire, { clock: platform, patienceMs });
  const topic = address.topic ?? `mizzle.${topicPart(owner.pipeline)}.ranges`;
  return new KafkaRangeLog({ client, platform, topic, owner, replication });
}

/** A name of a pipeline may hold what a topic's must not; no two become the same. */
function topicPart(pipeline: string): string {
  const escaped = pipeline.replaceAll(/[^A-Za-z0-9.-]/g, (character) => {
    return `_${character.codePointAt(0)!.toString(16)}_`;
  });
  return escaped.length <= nameMax ? escaped : `${escaped.slice(0, nameMax)}_${hashText(pipeline)}`;
}

/** A topic's name has at most 249 characters. */
const nameMax = 180;
