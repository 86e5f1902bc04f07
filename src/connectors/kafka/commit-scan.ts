// Finds the micro-batches that were committed in one phase, by the headers of their records.

import type { KafkaCodecs, TopicPartition } from '../../ports/kafka-wire.ts';
import { readCommitHeader } from './commit-header.ts';
import { kafkaErrors } from './error-codes.ts';
import type { KafkaClient } from './kafka-client.ts';
import { endOfOwn, fetchOwn } from './own-topic.ts';
import { readBatches } from './read-batches.ts';
import type { OpenBatch } from './read-batches.ts';

export type CommitScanned = {
  /** The newest; -1: none was found. */
  readonly batch: number;
  /** Up to here it was read. */
  readonly end: number;
  /** Records behind `from` are gone: what was among them, nobody knows. */
  readonly hasGap: boolean;
};

const fetchBytesMax = 4 * 1024 * 1024;
const waitMs = 100;

/** Reads a partition from an offset to its end. Nobody may be writing for `owner` meanwhile. */
export async function scanCommits(
  { client, codecs }: { readonly client: KafkaClient; readonly codecs: KafkaCodecs },
  at: TopicPartition,
  { owner, from }: { readonly owner: string; readonly from: number },
): Promise<CommitScanned> {
  const end = await endOfOwn(client, at);
  let batch = -1;
  let hasGap = false;
  for (let offset = from; offset < end;) {
    const fetched = await fetchOwn(client, at, {
      what: `read partition ${at.partition} of the topic "${at.topic}" for what was committed`,
      offset,
      waitMs,
      bytesMax: fetchBytesMax,
      expected: [kafkaErrors.offsetOutOfRange],
    });
    if (fetched.error === kafkaErrors.offsetOutOfRange) return { batch, end, hasGap: true };
    if (fetched.logStartOffset > from) hasGap = true;
    const read = readCommits(fetched.records, codecs, owner);
    batch = Math.max(batch, read.batch);
    offset = Math.max(offset, read.next);
  }
  return { batch, end, hasGap };
}

function readCommits(
  bytes: Uint8Array,
  codecs: KafkaCodecs,
  owner: string,
): { readonly batch: number; readonly next: number } {
  let batch = -1;
  const next = readBatches(bytes, codecs, (head, open) => {
    // What is in a transaction has its entry in the ledger.
    const isOutside = !head.control && !head.transactional && head.producerId >= 0;
    if (isOutside && head.records > 0) batch = Math.max(batch, commitIn(open(), owner));
  });
  return { batch, next };
}

/** -1: it is none of the owner's. */
function commitIn({ bytes, walk }: OpenBatch, owner: string): number {
  if (!walk.next()) return -1;
  const header = readCommitHeader(bytes, walk);
  return header?.owner === owner ? header.batch : -1;
}
