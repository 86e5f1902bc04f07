// Notices that the topic has got partitions which the run does not read: what is written there
// waits for the next start, and somebody should know.

import type { KafkaWire } from '../../ports/kafka-wire.ts';
import { kafkaErrors } from './error-codes.ts';
import type { KafkaClock } from './kafka-client.ts';

/** Producers learn of new partitions within five minutes, by their default. */
const intervalMs = 60_000;

export type PartitionWatchOptions = {
  readonly wire: KafkaWire;
  readonly clock: KafkaClock;
  readonly topic: string;
  readonly topicId: string;
  /** How many the run reads. */
  readonly count: number;
  readonly warn: (text: string) => void;
};

export class PartitionWatch {
  readonly #options: PartitionWatchOptions;
  #lastMs: number;
  /** As many as were warned of. */
  #known: number;

  constructor(options: PartitionWatchOptions) {
    this.#options = options;
    this.#lastMs = options.clock.nowMs();
    this.#known = options.count;
  }

  /** To be called often: looks if it is time. */
  tick(): void {
    const nowMs = this.#options.clock.nowMs();
    if (nowMs - this.#lastMs < intervalMs) return;
    this.#lastMs = nowMs;
    void this.#look();
  }

  async #look(): Promise<void> {
    const { wire, topic, topicId, count, warn } = this.#options;
    try {
      const [found] = (await wire.metadata(null, [topic])).topics;
      // Another topic of that name is the readers' own error.
      if (found?.error !== kafkaErrors.none || found.topicId !== topicId) return;
      const { length } = found.partitions;
      if (length <= this.#known) return;
      this.#known = length;
      warn(
        `the topic "${topic}" has ${length} partitions, and this run reads the ${count} that it ` +
          'had when the run began: the others are read from its next start on; stop it and start ' +
          'it again',
      );
    } catch {
      // Whoever reads will tell, and the next look is due as usual.
    }
  }
}
