// The writer of one sink partition without transactions: what is appended is visible at once, lost
// answers repeat nothing, and there is no ledger, so that a later writer repeats what it is given.

import type { SinkOutput, SinkWriter } from '../../ports/sink.ts';
import { WireFailure } from '../../ports/kafka-wire.ts';
import type { WriterOutput, WriterParts } from './transaction-writer.ts';

export class RepeatingWriter implements SinkWriter {
  /** Nobody remembers. */
  readonly committedThrough = -1;
  readonly #parts: WriterParts & WriterOutput;
  #isClosed = false;

  constructor(parts: WriterParts & WriterOutput) {
    this.#parts = parts;
  }

  start(): Promise<void> {
    return this.#parts.producer.start();
  }

  async commit({ batch, rows }: SinkOutput): Promise<void> {
    if (rows.rowCount === 0) return;
    const { client, producer, platform, encoder, partitions, topic, partition } = this.#parts;
    const nowMs = platform.nowMs();
    const records = encoder.encode(rows, {
      partitions,
      first: partition + batch,
      nowMs,
      mark: null,
    });
    const writes = records.map((record) => ({ topic, batch: record }));
    const what = `write micro-batch ${batch} to the topic "${topic}"`;
    await client.retried({ what, at: client.wire.description }, async () => {
      if ((await producer.send(writes)) === 'done') return { done: null };
      // The brokers have forgotten the producer, or lost some of what it wrote.
      await producer.start();
      return { again: new WireFailure(producer.reason, { unclear: true }) };
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#parts.client.close();
  }
}
