// What readers of a topic see, by two clients that are not ours: Kafka's own, and, quicker, the
// wire's bytes by somebody else's decoder.

import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Reader, readRecordsBatches } from '@platformatic/kafka';
import type { KafkaWire } from '../../src/ports/kafka-wire.ts';
import { compilesJava, javaArguments } from './java-program.fixture.ts';

export type JavaRecord = {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Where Kafka's producer would have put the key; -1 without key. */
  readonly chosen: number;
  readonly key: string | null;
  readonly value: string | null;
};

/** On a busy machine a JVM alone takes a while to start. */
const javaMsMax = 300_000;

/** Those of a partition in order. Null: this Java has no compiler. */
export async function readByJava(
  bootstrap: string,
  ...topics: readonly string[]
): Promise<readonly JavaRecord[] | null> {
  if (!compilesJava()) return null;
  const run = promisify(execFile);
  const options = { maxBuffer: 1 << 28, timeout: javaMsMax };
  const args = javaArguments('CommittedReader.java', [bootstrap, ...topics]);
  const { stdout } = await run('java', args, options);
  const lines = stdout.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const [topic, partition, offset, chosen, key, value] = line.split(' ');
    return {
      topic: topic!,
      partition: Number(partition),
      offset: Number(offset),
      chosen: Number(chosen),
      key: textOf(key!),
      value: textOf(value!),
    };
  });
}

function textOf(hex: string): string | null {
  return hex === '-' ? null : Buffer.from(hex.slice(1), 'hex').toString('utf8');
}

/**
 * Values of one partition up to its last stable offset, without those of aborted transactions. A
 * transaction that was committed is visible a moment later: waits until none is open any more, or
 * for a while, because who is dead leaves one open.
 */
export async function readCommitted(
  wire: KafkaWire,
  place: { readonly topic: string; readonly partition: number },
): Promise<string[]> {
  const { topics } = await wire.metadata(null, [place.topic]);
  const { topicId, partitions } = topics[0]!;
  const { leader } = partitions.find(({ partition }) => partition === place.partition)!;
  const values: string[] = [];
  const inAborted = new Set<bigint>();
  const startMs = Date.now();
  for (let offset = 0; ;) {
    const bytesMax = 1 << 24;
    const asked = { ...place, topicId, leaderEpoch: -1, offset, bytesMax };
    const [found] = await wire.fetchRecords(leader, {
      waitMs: 0,
      bytesMin: 0,
      bytesMax,
      isolation: 'read-committed',
      partitions: [asked],
    });
    if (found!.error !== 0) throw new Error(`the fetch failed with ${found!.error}`);
    const starts = found!.aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
    const batches = readRecordsBatches(Reader.from(Buffer.from(found!.records)));
    for (const batch of batches) {
      const last = Number(batch.firstOffset) + batch.lastOffsetDelta;
      while (starts.length > 0 && starts[0]!.firstOffset <= last) {
        inAborted.add(BigInt(starts.shift()!.producerId));
      }
      if ((batch.attributes & 32) !== 0) inAborted.delete(batch.producerId);
      else if (!((batch.attributes & 16) !== 0 && inAborted.has(batch.producerId))) {
        for (const { value } of batch.records) values.push(value!.toString('utf8'));
      }
      offset = last + 1;
    }
    if (batches.length > 0) continue;
    const isStable = found!.lastStableOffset === found!.highWatermark;
    if (isStable || Date.now() - startMs > waitMsMax) return values;
    await sleep(2);
  }
}

const waitMsMax = 150;
