// What a ledger says of a whole history, in each of its partitions: that the history has begun, so
// that whoever goes on knows that nothing was taken away since; and that another one follows.

import { StreamError } from '../../base/stream-error.ts';
import type { KafkaPlatform } from '../../ports/kafka-wire.ts';
import type { SinkContext } from '../../ports/sink.ts';
import { kafkaErrors } from './error-codes.ts';
import type { KafkaClient } from './kafka-client.ts';
import type { KafkaProducer } from './kafka-producer.ts';
import type { LedgerEntry, LedgerKey } from './sink-ledger.ts';
import { begunMark, closingMark, entryBatch, ledgerKeyOf, SinkLedger } from './sink-ledger.ts';

export type LedgerMarksOptions = {
  readonly client: KafkaClient;
  readonly platform: KafkaPlatform;
  /** One without transactions. */
  readonly producer: KafkaProducer;
  readonly topic: string;
  readonly ledger: string;
  /** Of the ledger. */
  readonly partitions: number;
};

export class LedgerMarks {
  readonly #options: LedgerMarksOptions;

  constructor(options: LedgerMarksOptions) {
    this.#options = options;
  }

  async begin(context: SinkContext): Promise<void> {
    const what = `begin a history in the ledger "${this.#options.ledger}"`;
    await this.#write(what, ledgerKeyOf(context, begunMark), { run: context.run, state: 'begun' });
  }

  async close(context: SinkContext): Promise<void> {
    const what = `close a history in the ledger "${this.#options.ledger}"`;
    const mark = { run: context.run, state: 'closed' } as const;
    await this.#write(what, ledgerKeyOf(context, closingMark), mark);
  }

  /**
   * A history goes on in a ledger in which it has begun, or that was never written to. Rejects with
   * `ledger-emptied` where something was there and its beginning is not.
   */
  async goOn(context: SinkContext): Promise<void> {
    const key = ledgerKeyOf(context, begunMark);
    const looks = await Promise.all(this.#ledgers().map((ledger) => ledger.lookFor(key)));
    if (looks.every((look) => look === 'unused')) return this.begin(context);
    const partition = looks.findIndex((look) => look !== 'found');
    if (partition >= 0) throw this.#emptied(context, partition);
  }

  /** The sink partitions of a history that somebody has opened. */
  async sinkPartitions(context: SinkContext): Promise<readonly number[]> {
    const key = ledgerKeyOf(context, closingMark);
    const found = await Promise.all(this.#ledgers().map((each) => each.sinkPartitions(key)));
    return found.flatMap((partitions) => [...partitions]);
  }

  async #write(
    what: string,
    key: LedgerKey,
    { run, state }: Pick<SinkContext, 'run'> & Pick<LedgerEntry, 'state'>,
  ): Promise<void> {
    const { client, platform, producer, ledger, partitions } = this.#options;
    const { codecs } = platform;
    const { term, incarnation } = run;
    const mark: LedgerEntry = { batch: -1, term, incarnation, token: platform.newToken(), state };
    const nowMs = platform.nowMs();
    const writes = Array.from({ length: partitions }, (_, partition) => {
      return { topic: ledger, batch: entryBatch(key, mark, { partition, nowMs, codecs }) };
    });
    await client.retried({ what, at: client.wire.description }, async () => {
      await producer.start();
      // Marks that come twice are one.
      const result = await producer.send(writes);
      return result === 'done' ? { done: null } : { again: kafkaErrors.networkException };
    });
  }

  #ledgers(): readonly SinkLedger[] {
    const { client, platform, ledger, partitions } = this.#options;
    return Array.from({ length: partitions }, (_, partition) => {
      return new SinkLedger(client, platform.codecs, { topic: ledger, partition });
    });
  }

  #emptied({ run }: SinkContext, partition: number): StreamError {
    const { ledger, topic } = this.#options;
    return new StreamError({
      code: 'ledger-emptied',
      message:
        `could not go on writing to "${topic}": partition ${partition} of its ledger "${ledger}" ` +
        'does not say that this history has begun, so what it had said may be lost',
      hint:
        'bring its records back; or begin a new history (--fresh), which may write again what is ' +
        'there. A ledger must keep its records and its number of partitions',
      fields: { topic, ledger, partition, history: run.history },
    });
  }
}
