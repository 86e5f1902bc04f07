// The open writers of one thread: each is opened when its first rows come, or a partition that
// feeds it, and commits one micro-batch at a time.

import { asStreamError } from '../../base/stream-error.ts';
import type { PlacementVersion } from '../../control/protocol/ids.ts';
import { termOf } from '../../control/protocol/ids.ts';
import type { SinkId, SinkSpec } from '../../plan/logical-plan.ts';
import type { Sink, SinkContext, SinkOutput, SinkRun, SinkWriter } from '../../ports/sink.ts';
import type { JobConfig } from './job-config.ts';
import type { RunClock } from './run-clock.ts';

export type SinkWritersOptions = {
  readonly specs: readonly SinkSpec[];
  readonly sinks: ReadonlyMap<SinkId, Sink>;
  readonly clock: Pick<RunClock, 'nowMs'>;
  readonly run: SinkRun;
  /** By sink: its name in its ledger, where that is not its id. */
  readonly ledgers: JobConfig['ledgers'];
};

export class SinkWriters {
  readonly #options: SinkWritersOptions;
  readonly #writers = new Map<string, Opened>();
  /** The last commit of each sink partition: the next one waits for it. */
  readonly #commits = new Map<string, Promise<void>>();

  constructor(options: SinkWritersOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the rows are visible, also if they were before. `since`: the placement by which
   * the rows' task is where it is; a newer one opens the sink partition anew, and fences the older.
   */
  commit(id: SinkId, to: SinkPlace, output: SinkOutput): Promise<void> {
    const { partition, since } = to;
    const key = `${id}/${partition}`;
    const commit = this.#former(key)
      .then(() => this.#writer(id, to))
      .then((opened) => this.#commitBehind(opened, output))
      .catch((error: unknown) => {
        throw asStreamError(error, {
          code: 'sink-failed',
          message: `could not write micro-batch ${output.batch} to sink "${id}"`,
          hint: 'the error comes from the sink itself; its stack is in the cause',
          fields: { sink: id, partition, batch: output.batch, since },
        });
      });
    this.#commits.set(key, commit);
    return commit;
  }

  /**
   * Opens a writer before there are rows for it: the one before is fenced by then. If that fails,
   * the first commit tries again, and is told.
   */
  prepare(id: SinkId, to: SinkPlace): void {
    const key = `${id}/${to.partition}`;
    const opened = this.#former(key)
      .then(() => this.#writer(id, to))
      .then(
        () => {},
        () => {},
      );
    this.#commits.set(key, opened);
  }

  /** What became of the one before is told to whoever gave it. */
  #former(key: string): Promise<void> {
    return (this.#commits.get(key) ?? Promise.resolve()).catch(() => {});
  }

  async #commitBehind(opened: Opened, output: SinkOutput): Promise<void> {
    // Replayed output that is visible already.
    if (output.batch <= opened.through) return;
    await opened.writer.commit(output);
    opened.through = output.batch;
  }

  async #writer(id: SinkId, { partition, since }: SinkPlace): Promise<Opened> {
    const key = `${id}/${partition}`;
    const opened = this.#writers.get(key);
    if (opened !== undefined && opened.since >= since) return opened;
    await opened?.writer.close();
    const { run } = this.#options;
    const context = {
      ...this.context(id),
      run: { ...run, term: termOf(since), incarnation: since + 1 },
    };
    const writer = await this.#options.sinks.get(id)!.open(partition, context);
    const fresh = { writer, since, through: writer.committedThrough };
    this.#writers.set(key, fresh);
    return fresh;
  }

  context(id: SinkId): SinkContext {
    const { specs, clock, run, ledgers } = this.#options;
    const { schema, name } = specs.find((spec) => spec.id === id)!;
    return { nowMs: () => clock.nowMs(), schema, name: ledgers[id] ?? name, run };
  }

  /** Waits for commits under way and closes the writers. */
  async close(): Promise<void> {
    // A commit that failed, or a writer that did not open, was reported when it did.
    await Promise.allSettled(this.#commits.values());
    await Promise.all([...this.#writers.values()].map(({ writer }) => writer.close()));
  }
}

/** Who writes to a sink partition, and since when. */
export type SinkPlace = { readonly partition: number; readonly since: PlacementVersion };

type Opened = {
  readonly writer: SinkWriter;
  readonly since: PlacementVersion;
  /** Visible through this micro-batch. */
  through: number;
};

/** As whom a run writes; each sink partition's writer adds since when, and in which term. */
export function sinkRun(pipeline: string, { history, durability }: JobConfig): SinkRun {
  const term = durability?.term ?? 1;
  const { resumes = false, keeps = null } = durability ?? {};
  return { pipeline, history, term, incarnation: 0, resumes, keeps };
}
