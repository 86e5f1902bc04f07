// The ledger of the sink: a compacted topic beside the output topic. Its records say, for each sink
// partition, which micro-batch was committed last, and by whom; they are part of the transaction
// that carries the rows. Compaction keeps the newest of each for ever, unlike offsets of consumer
// groups, which Kafka forgets after a week.
//
// It is read without waiting for the last stable offset, and the markers decide which entries
// count: once InitProducerId has answered, all markers of this writer's former transactions are
// written, while a dead writer of another sink partition may hold the last stable offset back for
// as long as its transaction may last.

import { hashText } from '../../base/hash.ts';
import type {
  FetchedPartition,
  KafkaCodecs,
  NewTopic,
  TopicPartition,
} from '../../ports/kafka-wire.ts';
import type { SinkContext } from '../../ports/sink.ts';
import type { KafkaClient } from './kafka-client.ts';
import { readRecords } from './ledger-records.ts';
import type { LedgerRecord } from './ledger-records.ts';
import { endOfOwn, fetchOwn, startOfOwn } from './own-topic.ts';
import { RecordBuffer } from './record-buffer.ts';
import type { RecordBatch } from './record-buffer.ts';
import { onlyText } from './text-column.ts';

/** Whose entry it is. A partition below 0: everybody's of the history, a mark. */
export type LedgerKey = {
  readonly pipeline: string;
  readonly history: string;
  readonly sink: string;
  readonly partition: number;
};

export type LedgerEntry = {
  /** -1: none. */
  readonly batch: number;
  readonly term: number;
  readonly incarnation: number;
  /** Of the writer: differs each time one opens. */
  readonly token: string;
  /**
   * `opened`: its writer may still find that the history was closed before. `closed`: another
   * history follows; who is not newer may not write. `begun`: the mark of a history's beginning.
   */
  readonly state: 'opened' | 'committed' | 'closed' | 'begun';
  /**
   * By partition of the topic: from this offset on there may be micro-batches that were committed
   * in one phase and are newer than this entry. Absent: there are none, and nobody may write any.
   */
  readonly from?: readonly number[];
};

export type LedgerView = {
  /** The newest that counts. */
  readonly entry: LedgerEntry | null;
  /** The newest mark of the history, as far as it was read. */
  readonly mark: LedgerEntry | null;
  /** Up to here it was read. */
  readonly end: number;
};

/** So that sink partitions seldom share one, and all of them fit into a small cluster. */
const ledgerPartitions = 16;
/** First look back from the end: some hundred transactions, less than a request takes anyway. */
const windowOffsets = 256;
const windowGrowth = 8;
const fetchBytesMax = 4 * 1024 * 1024;
const firstFetchBytes = 64 * 1024;
const waitMs = 100;

/** Partitions of keys that are marks. */
export const closingMark = -1;
export const begunMark = -2;

export function ledgerTopic(topic: string): NewTopic {
  return {
    topic,
    partitions: ledgerPartitions,
    replication: -1,
    configs: {
      'cleanup.policy': 'compact',
      // Only closed segments are compacted: small ones keep what is read at a start small.
      'segment.bytes': String(16 * 1024 * 1024),
      'min.cleanable.dirty.ratio': '0.1',
    },
  };
}

export function ledgerKeyOf({ name, run }: SinkContext, partition: number): LedgerKey {
  return { pipeline: run.pipeline, history: run.history, sink: name, partition };
}

/** All entries of a sink partition, over all histories, are in one partition of the ledger. */
export function ledgerPartitionOf({ pipeline, sink, partition }: LedgerKey, count: number): number {
  const start = Number.parseInt(hashText(JSON.stringify([pipeline, sink])).slice(0, 8), 16);
  return (start + partition) % count;
}

/** A batch of one record. */
export function entryBatch(
  key: LedgerKey,
  entry: LedgerEntry,
  at: { readonly partition: number; readonly nowMs: number; readonly codecs: KafkaCodecs },
): RecordBatch {
  const encoder = new TextEncoder();
  const buffer = new RecordBuffer(at.partition);
  const columns = {
    key: onlyText(encoder.encode(keyText(key))),
    value: onlyText(encoder.encode(JSON.stringify(entry))),
    headers: null,
  };
  buffer.put(0, columns, at.nowMs);
  return buffer.finish('none', at.codecs);
}

export class SinkLedger {
  readonly #client: KafkaClient;
  readonly #codecs: KafkaCodecs;
  readonly #at: TopicPartition;

  constructor(client: KafkaClient, codecs: KafkaCodecs, at: TopicPartition) {
    this.#client = client;
    this.#codecs = codecs;
    this.#at = at;
  }

  /**
   * Reads back from the end until there is an entry that suffices, or nothing more. Marks that
   * are older than an entry by somebody who had looked for them are not sought.
   */
  async newest(key: LedgerKey, suffices: (entry: LedgerEntry) => boolean): Promise<LedgerView> {
    const [start, end] = await this.#ends();
    for (let window = windowOffsets; ; window *= windowGrowth) {
      const from = Math.max(start, end - window);
      const view = viewOf(await this.#read(from, end), key, end);
      if (from === start || (view.entry !== null && suffices(view.entry))) return view;
    }
  }

  /** What has come since an offset. */
  async since(key: LedgerKey, offset: number): Promise<LedgerView> {
    const end = await endOfOwn(this.#client, this.#at);
    return viewOf(await this.#read(offset, end), key, end);
  }

  /** The sink partitions of a history that have entries here, also such as may come to nothing. */
  async sinkPartitions(key: Omit<LedgerKey, 'partition'>): Promise<ReadonlySet<number>> {
    const [start, end] = await this.#ends();
    const found = new Set<number>();
    const common = keyText({ ...key, partition: 0 }).slice(0, -2);
    for (const record of await this.#read(start, end)) {
      if (record.kind !== 'data' || !record.key.startsWith(common)) continue;
      const partition = Number(record.key.slice(common.length, -1));
      if (partition >= 0) found.add(partition);
    }
    return found;
  }

  /** From its beginning on. `unused`: nothing was ever written here. */
  async lookFor(key: LedgerKey): Promise<'found' | 'missing' | 'unused'> {
    const [start, end] = await this.#ends();
    if (end === 0) return 'unused';
    const wanted = keyText(key);
    let isFound = false;
    const onRecord = (record: LedgerRecord): void => {
      isFound ||= record.kind === 'data' && record.key === wanted;
    };
    // What is looked for is old, and lies near the start.
    let bytesMax = firstFetchBytes;
    for (let offset = start; offset < end && !isFound;) {
      offset = await this.#readOnce(offset, bytesMax, onRecord);
      bytesMax = Math.min(fetchBytesMax, windowGrowth * bytesMax);
    }
    return isFound ? 'found' : 'missing';
  }

  /** In order of offsets; those of whole batches, the first of which may begin before. */
  async #read(from: number, end: number): Promise<LedgerRecord[]> {
    const records: LedgerRecord[] = [];
    for (let offset = from; offset < end;) {
      offset = await this.#readOnce(offset, fetchBytesMax, (record) => records.push(record));
    }
    return records;
  }

  /** What one answer holds; the offset behind it. */
  async #readOnce(
    offset: number,
    bytesMax: number,
    onRecord: (record: LedgerRecord) => void,
  ): Promise<number> {
    const fetched = await this.#fetch(offset, bytesMax);
    const { next } = readRecords(fetched.records, this.#codecs, { onRecord });
    return Math.max(offset, next);
  }

  #fetch(offset: number, bytesMax: number): Promise<FetchedPartition> {
    const { topic, partition } = this.#at;
    const what = `read partition ${partition} of the ledger "${topic}"`;
    return fetchOwn(this.#client, this.#at, { what, offset, waitMs, bytesMax });
  }

  #ends(): Promise<readonly [start: number, end: number]> {
    return Promise.all([startOfOwn(this.#client, this.#at), endOfOwn(this.#client, this.#at)]);
  }
}

function viewOf(records: readonly LedgerRecord[], key: LedgerKey, end: number): LedgerView {
  const own = keyText(key);
  const all = keyText({ ...key, partition: closingMark });
  // Backwards, so that the end of a producer's transaction is known before what is in it.
  const ends = new Map<number, boolean>();
  let entry: LedgerEntry | null = null;
  let mark: LedgerEntry | null = null;
  for (const record of records.toReversed()) {
    if (record.kind === 'end') ends.set(record.producerId, record.committed);
    else if (!record.transactional || ends.get(record.producerId) === true) {
      if (record.key === own) entry ??= JSON.parse(record.value) as LedgerEntry;
      else if (record.key === all) mark ??= JSON.parse(record.value) as LedgerEntry;
    }
  }
  return { entry, mark, end };
}

/** Different for different keys. */
export function keyText({ pipeline, history, sink, partition }: LedgerKey): string {
  return JSON.stringify([pipeline, history, sink, partition]);
}
