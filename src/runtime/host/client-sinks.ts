// The sinks that live where `run` was called: one writer a sink partition (one in all, where the
// sink has only one), each committing one micro-batch at a time.

import type { LogicalPlan, SinkId } from '../../plan/logical-plan.ts';
import type { Sink, SinkContext, SinkOutput, SinkWriter } from '../../ports/sink.ts';
import type { RunClock } from './run-clock.ts';

export class ClientSinks {
  readonly #plan: LogicalPlan;
  readonly #sinks: ReadonlyMap<SinkId, Sink>;
  readonly #clock: RunClock;
  readonly #writers = new Map<string, Promise<SinkWriter>>();
  readonly #commits = new Map<string, Promise<void>>();

  constructor(options: {
    readonly plan: LogicalPlan;
    readonly sinks: ReadonlyMap<SinkId, Sink>;
    readonly clock: RunClock;
  }) {
    this.#plan = options.plan;
    this.#sinks = options.sinks;
    this.#clock = options.clock;
  }

  async prepare(): Promise<void> {
    for (const { id } of this.#plan.sinks) await this.#sinks.get(id)!.prepare(this.#context(id));
  }

  /** Resolves when the rows are visible. Commits of one writer follow one another. */
  commit(id: SinkId, partition: number, output: SinkOutput): Promise<void> {
    const sink = this.#sinks.get(id)!;
    const own = sink.partitions === 1 ? 0 : partition;
    const key = `${id}/${own}`;
    let writer = this.#writers.get(key);
    if (writer === undefined) {
      writer = sink.open(own, this.#context(id));
      this.#writers.set(key, writer);
    }
    const before = this.#commits.get(key) ?? Promise.resolve();
    const commit = before.then(() => writer).then((opened) => opened.commit(output));
    this.#commits.set(key, commit);
    return commit;
  }

  /** Closes the writers, then the sinks. */
  async finish(): Promise<void> {
    // A commit that failed has failed the job already.
    await Promise.allSettled(this.#commits.values());
    for (const writer of this.#writers.values()) await (await writer).close();
    for (const { id } of this.#plan.sinks) await this.#sinks.get(id)!.finish();
  }

  /** Ends the sinks of a job that failed: whoever waits for rows waits no longer. */
  async abandon(): Promise<void> {
    // The job's own error says more than what ending them can say.
    await Promise.allSettled([...this.#sinks.values()].map(async (sink) => sink.finish()));
  }

  #context(id: SinkId): SinkContext {
    const spec = this.#plan.sinks.find((sink) => sink.id === id)!;
    return { nowMs: () => this.#clock.nowMs(), schema: spec.schema, name: spec.name };
  }
}
