// Commits what has been taken to a consumer group without members, so that lag tools see the run.
// In the background, now and then; the run itself never reads it, and what fails is tried anew with
// the next round.

import { kafkaErrors } from './error-codes.ts';
import type { KafkaClient } from './kafka-client.ts';

const intervalMs = 5_000;

export type OffsetCommitsOptions = {
  readonly client: KafkaClient;
  readonly group: string;
  readonly topic: string;
  readonly nowMs: () => number;
};

export class OffsetCommits {
  readonly #options: OffsetCommitsOptions;
  /** By partition: what has been taken since it was last committed. */
  readonly #taken = new Map<number, number>();
  #lastMs: number;
  #underWay: Promise<void> | null = null;

  constructor(options: OffsetCommitsOptions) {
    this.#options = options;
    this.#lastMs = options.nowMs();
  }

  take(partition: number, position: number): void {
    this.#taken.set(partition, position);
  }

  /** To be called often: commits if it is time. */
  tick(): void {
    if (this.#options.nowMs() - this.#lastMs < intervalMs) return;
    void this.flush();
  }

  /** Never rejects. */
  flush(): Promise<void> {
    this.#underWay ??= this.#commit().finally(() => {
      this.#underWay = null;
    });
    return this.#underWay;
  }

  async #commit(): Promise<void> {
    const { client, group, topic, nowMs } = this.#options;
    this.#lastMs = nowMs();
    const offsets = [...this.#taken].map(([partition, offset]) => ({ topic, partition, offset }));
    if (offsets.length === 0) return;
    const of = { kind: 'group', key: group } as const;
    try {
      const broker = await client.coordinator(of);
      const answers = await client.wire.commitOffsets(broker, group, offsets);
      if (answers.some(({ error }) => error !== kafkaErrors.none)) client.forgetCoordinator(of);
      for (const { partition, offset } of offsets) {
        const answer = answers.find((each) => each.partition === partition);
        const isDone = answer?.error === kafkaErrors.none;
        if (isDone && this.#taken.get(partition) === offset) this.#taken.delete(partition);
      }
    } catch {
      // Nothing depends on it, and the next round says all of it again.
      client.forgetCoordinator(of);
    }
  }
}
