// What users are told when a topic is no longer what their run has read.

import { StreamError } from '../../base/stream-error.ts';
import type { TopicPartition } from '../../ports/kafka-wire.ts';

export function topicRecreated(
  { topic }: { readonly topic: string },
  topicId: string,
): StreamError {
  return new StreamError({
    code: 'topic-recreated',
    message: `could not go on reading the topic "${topic}": it was deleted and made anew`,
    hint: 'offsets of the run belong to the topic before: begin a new history (--fresh)',
    fields: { topic, topicId },
  });
}

export type OffsetLost = TopicPartition & {
  readonly offset: number;
  readonly first: number;
  readonly end: number;
};

/** Retention has removed what comes next, or the log has lost its end. */
export function offsetOutOfRange(lost: OffsetLost): StreamError {
  const { topic, partition, offset, first, end } = lost;
  const isBehind = offset < first;
  const where = isBehind ? `begins at ${first}` : `ends at ${end}`;
  return new StreamError({
    code: 'offset-out-of-range',
    message:
      `could not read topic "${topic}", partition ${partition} from offset ${offset} on: ` +
      `the partition ${where}`,
    hint: isBehind
      ? 'keep records longer (retention.ms, retention.bytes), or go on with a gap: set ' +
        "`onRetention` to 'earliest' or 'latest'"
      : 'records that had been acknowledged are lost (an unclean election of a leader?): begin ' +
        'a new history (--fresh)',
    fields: { topic, partition, offset, first, end },
  });
}
