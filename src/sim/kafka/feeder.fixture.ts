// Writes to topics of a simulated cluster whatever comes of it: what counts is what stands in the
// log in the end. With transactions, some of which are aborted or never ended, or without.

import type { Random } from '../../base/random.ts';
import { KafkaClient } from '../../connectors/kafka/kafka-client.ts';
import { dataBatch } from './kafka-run.fixture.ts';
import { kafkaConnection } from './minimal-sink.fixture.ts';
import type { SimulatedClient } from './simulated-kafka.ts';

export type FeederOptions = {
  readonly topic: string;
  readonly partitionCount: number;
  /** Null: without transactions. */
  readonly transactionalId: string | null;
  readonly rounds: number;
  readonly newValue: () => string;
};

/** What is not as it should be: the transaction is left to itself. */
class Failed extends Error {}

export class Feeder {
  readonly #client: KafkaClient;
  readonly #owner: SimulatedClient;
  readonly #random: Random;
  readonly #options: FeederOptions;
  #identity = { producerId: -1, epoch: -1 };
  #sequences = new Map<number, number>();
  #bumps = false;
  #isReady = false;

  constructor(owner: SimulatedClient, random: Random, options: FeederOptions) {
    const wire = owner.platform.open(kafkaConnection);
    this.#client = new KafkaClient(wire, { clock: owner.platform, patienceMs: 10_000 });
    this.#owner = owner;
    this.#random = random;
    this.#options = options;
  }

  async run(): Promise<void> {
    const random = this.#random;
    for (let round = 0; round < this.#options.rounds; round++) {
      await this.#owner.platform.sleep(random.float() * random.pick([1, 10, 100]));
      try {
        if (this.#options.transactionalId === null) await this.#write();
        else await this.#transact(this.#options.transactionalId);
      } catch {
        // It may have come about or not: it is read or not.
        this.#isReady = false;
        this.#client.forgetLeaders(this.#options.topic);
      }
    }
    await this.#client.close();
  }

  async #transact(transactionalId: string): Promise<void> {
    if (!this.#isReady) await this.#init(transactionalId);
    const writes = this.#random.integer(1, 4);
    for (let write = 0; write < writes; write++) await this.#write();
    // Kafka ends it in time.
    if (this.#random.chance(0.05)) throw new Failed();
    const broker = await this.#coordinator(transactionalId);
    const committed = this.#random.chance(0.7);
    const asked = { transactionalId, ...this.#identity, committed, bumps: this.#bumps };
    for (;;) {
      const answer = await this.#client.wire.endTransaction(broker, asked);
      if (answer.error === 51) {
        await this.#owner.platform.sleep(2);
        continue;
      }
      check(answer.error);
      if (!this.#bumps) return;
      this.#identity = { producerId: answer.producerId, epoch: answer.epoch };
      this.#sequences.clear();
      return;
    }
  }

  async #init(transactionalId: string): Promise<void> {
    this.#bumps = (await this.#client.wire.features()).transactionVersion >= 2;
    const asked = { transactionalId, timeoutMs: 2_000, producerId: -1, epoch: -1 };
    for (;;) {
      const broker = await this.#coordinator(transactionalId);
      const answer = await this.#client.wire.initProducerId(broker, asked);
      if (answer.error === 51) {
        await this.#owner.platform.sleep(5);
        continue;
      }
      check(answer.error);
      this.#identity = { producerId: answer.producerId, epoch: answer.epoch };
      this.#sequences.clear();
      this.#isReady = true;
      return;
    }
  }

  async #write(): Promise<void> {
    const { topic, partitionCount, transactionalId, newValue } = this.#options;
    const partition = this.#random.integer(0, partitionCount - 1);
    const count = this.#random.pick([1, 1, 2, 5]);
    const records = Array.from({ length: count }, () => {
      return { key: String(this.#random.integer(0, 9)), value: newValue() };
    });
    const at = { topic, partition };
    if (transactionalId !== null && !this.#bumps) {
      const broker = await this.#coordinator(transactionalId);
      const asked = { transactionalId, ...this.#identity, partitions: [at] };
      const [added] = await this.#client.wire.addPartitionsToTransaction(broker, asked);
      check(added!.error);
    }
    const sequence = this.#sequences.get(partition) ?? 0;
    const producer = transactionalId === null ? {} : { ...this.#identity, sequence };
    const bytes = dataBatch({ ...producer, records });
    const { broker } = await this.#client.leader(at);
    const joins = transactionalId !== null && this.#bumps;
    const request = { transactionalId, joins, acks: -1 as const, timeoutMs: 1_000 };
    const partitions = [{ ...at, records: bytes }];
    const [answer] = await this.#client.wire.produce(broker, { ...request, partitions });
    check(answer!.error);
    this.#sequences.set(partition, sequence + count);
  }

  async #coordinator(key: string): Promise<number> {
    return (await this.#client.wire.findCoordinator(null, { kind: 'transaction', key })).broker;
  }
}

function check(error: number): void {
  if (error !== 0) throw new Failed();
}
