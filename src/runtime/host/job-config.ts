// What every worker of a job must agree upon, as plain data that crosses threads and processes.

import type { ExecutionMode } from '../../plan/execution-mode.ts';
import type { SourceId } from '../../plan/logical-plan.ts';
import type { JsonValue } from '../../schema/data-type.ts';
import type { Durability } from './durable-job.ts';
import type { ClockBase } from './run-clock.ts';

export type JobConfig = {
  readonly planHash: string;
  /** What `planHash` is of: the whole plan, or all of it but the text of functions. */
  readonly compares: 'plan' | 'structure';
  readonly mode: ExecutionMode;
  /** Keyed partitions, as the planner was told. */
  readonly partitions: number;
  /** Partitions of each source, as the planner was told, too. */
  readonly sourcePartitions: Readonly<Record<SourceId, number>>;
  /** Partitions of each stage. */
  readonly partitionCounts: readonly number[];
  /** What each source's `layout` said. */
  readonly layouts: Readonly<Record<SourceId, JsonValue>>;
  readonly workerCount: number;
  /** When the run started, epoch ms. */
  readonly startMs: number;
  /** Names this line of micro-batches in the ledgers of sinks. */
  readonly history: string;
  /** By sink: its name in its ledger, where the pipeline has changed and that is not its id. */
  readonly ledgers: Readonly<Record<string, string>>;
  readonly clockBase: ClockBase;
  /** Null: nothing is kept, and a worker that is lost ends the run. */
  readonly durability: Durability | null;
  /** About how much one source task reads at most, bytes. */
  readonly bytesPerTask: number;
};
