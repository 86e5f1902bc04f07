// Commits what has been taken to a consumer group without members, so that lag tools see the run.
// In the background, now and then; the run itself never reads it, and what fails is tried anew with
// the next round.

import { kafkaErrors } from './error-codes.ts';
import type { KafkaClock } from './kafka-client.ts';
import type { KafkaWire } from '../../ports/kafka-wire.ts';

const intervalMs = 5_000;
/** For how long a run that ends tries to say where. */
const closeMsMax = 2_000;
const pauseMs = 100;

export type OffsetCommitsOptions = {
  readonly wire: KafkaWire;
  readonly clock: KafkaClock;
  readonly group: string;
  readonly topic: string;
};

export class OffsetCommits {
  readonly #options: OffsetCommitsOptions;
  /** By partition: what has been taken since it was last committed. */
  readonly #taken = new Map<number, number>();
  #lastMs: number;
  #underWay: Promise<void> | null = null;

  constructor(options: OffsetCommitsOptions) {
    this.#options = options;
    this.#lastMs = options.clock.nowMs();
  }

  take(partition: number, position: number): void {
    this.#taken.set(partition, position);
  }

  /** To be called often: commits if it is time. */
  tick(): void {
    if (this.#options.clock.nowMs() - this.#lastMs < intervalMs) return;
    void this.flush();
  }

  /** The last round: tried a few times, since a coordinator may just be moving. Never rejects. */
  async close(): Promise<void> {
    const { clock } = this.#options;
    const beginMs = clock.nowMs();
    for (;;) {
      await this.flush();
      if (this.#taken.size === 0 || clock.nowMs() - beginMs > closeMsMax) return;
      await clock.sleep(pauseMs);
    }
  }

  /** Never rejects. */
  flush(): Promise<void> {
    this.#underWay ??= this.#commit().finally(() => {
      this.#underWay = null;
    });
    return this.#underWay;
  }

  async #commit(): Promise<void> {
    const { wire, group, topic, clock } = this.#options;
    this.#lastMs = clock.nowMs();
    const offsets = [...this.#taken].map(([partition, offset]) => ({ topic, partition, offset }));
    if (offsets.length === 0) return;
    try {
      const { error, broker } = await wire.findCoordinator(null, { kind: 'group', key: group });
      if (error !== kafkaErrors.none) return;
      const answers = await wire.commitOffsets(broker, group, offsets);
      for (const { partition, offset } of offsets) {
        const answer = answers.find((each) => each.partition === partition);
        const isDone = answer?.error === kafkaErrors.none;
        if (isDone && this.#taken.get(partition) === offset) this.#taken.delete(partition);
      }
    } catch {
      // Nothing depends on it, and the next round says all of it again.
    }
  }
}
