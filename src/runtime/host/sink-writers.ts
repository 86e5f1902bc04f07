// The open writers of one thread: each is opened when its first rows come, and commits one
// micro-batch at a time.

import { asStreamError } from '../../base/stream-error.ts';
import type { SinkId, SinkSpec } from '../../plan/logical-plan.ts';
import type { Sink, SinkContext, SinkOutput, SinkRun, SinkWriter } from '../../ports/sink.ts';
import type { RunClock } from './run-clock.ts';

export type SinkWritersOptions = {
  readonly specs: readonly SinkSpec[];
  readonly sinks: ReadonlyMap<SinkId, Sink>;
  readonly clock: RunClock;
  readonly run: SinkRun;
};

export class SinkWriters {
  readonly #options: SinkWritersOptions;
  readonly #writers = new Map<string, Promise<SinkWriter>>();
  /** The last commit of each sink partition: the next one waits for it. */
  readonly #commits = new Map<string, Promise<void>>();

  constructor(options: SinkWritersOptions) {
    this.#options = options;
  }

  /** Resolves when the rows are visible. */
  commit(id: SinkId, partition: number, output: SinkOutput): Promise<void> {
    const key = `${id}/${partition}`;
    let writer = this.#writers.get(key);
    if (writer === undefined) {
      writer = this.#options.sinks.get(id)!.open(partition, this.context(id));
      this.#writers.set(key, writer);
    }
    const before = this.#commits.get(key) ?? Promise.resolve();
    const commit = before
      .then(() => writer)
      // Replayed output that is visible already.
      .then((opened) =>
        output.batch > opened.committedThrough ? opened.commit(output) : undefined,
      )
      .catch((error: unknown) => {
        throw asStreamError(error, {
          code: 'sink-failed',
          message: `could not write micro-batch ${output.batch} to sink "${id}"`,
          hint: 'the error comes from the sink itself; its stack is in the cause',
          fields: { sink: id, partition, batch: output.batch },
        });
      });
    this.#commits.set(key, commit);
    return commit;
  }

  context(id: SinkId): SinkContext {
    const { specs, clock, run } = this.#options;
    const { schema, name } = specs.find((spec) => spec.id === id)!;
    return { nowMs: () => clock.nowMs(), schema, name, run };
  }

  /** Waits for commits under way and closes the writers that could be opened. */
  async close(): Promise<void> {
    // A commit that failed, or a writer that did not open, was reported when it did.
    await Promise.allSettled(this.#commits.values());
    const opened = await Promise.allSettled(this.#writers.values());
    const writers = opened.filter((writer) => writer.status === 'fulfilled');
    await Promise.all(writers.map(({ value }) => value.close()));
  }
}

/** As whom a thread of a run writes that resumes nothing, under the first driver. */
export function newRun(identity: Pick<SinkRun, 'pipeline' | 'history' | 'incarnation'>): SinkRun {
  return { ...identity, term: 1, resumes: false };
}
