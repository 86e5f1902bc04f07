// A user's own pipeline in the simulator: driver and workers on a virtual clock, with faults drawn
// from a seed. What became visible is held against a run of the same tasks one after the other.

import type { Pipeline } from '../api/pipeline.ts';
import { errorToData, StreamError } from '../base/stream-error.ts';
import type { ExecutionMode } from '../plan/execution-mode.ts';
import type { SourceSpec } from '../plan/logical-plan.ts';
import type { RowObject } from '../schema/data-type.ts';
import { startMs } from '../sim/cluster.ts';
import { faultText } from '../sim/faults.ts';
import type { GivenRows } from '../sim/given-rows.ts';
import { withGivenRows } from '../sim/given-rows.ts';
import { shrink } from '../sim/shrink.ts';
import type { DrawnSimulation } from '../sim/simulate.ts';
import { drawFor, runSimulation } from '../sim/simulate.ts';
import { OperatorGuards } from './operator-guards.ts';

/**
 * The rows of each source, by its name; or the rows of the only one. Rows are as `memory` takes
 * them: columns by name, timestamps as epoch ms. They come in this order, dealt out to
 * `sourcePartitions`.
 */
export type SimulationInput = readonly object[] | { readonly [source: string]: readonly object[] };

/** What `simulate` runs, and how often. */
export type SimulateOptions = {
  readonly input: SimulationInput;
  /** Runs, each with a cluster, delays and faults of its own. Default: 20. */
  readonly seeds?: number;
  /** The first seed: to run one again that failed. Default: 0. */
  readonly from?: number;
  /**
   * Workers that crash, stall or are cut off, slow and failing stores, clocks that jump, and so on.
   * In `continuous` mode there are none. Default: true.
   */
  readonly faults?: boolean;
  /** Default: `drizzle`. */
  readonly mode?: ExecutionMode;
  /** Partitions of each source. Default: 2. */
  readonly sourcePartitions?: number;
};

/** What one seed gave. */
export type SimulatedRun = {
  readonly seed: number;
  /** By name of the sink: its rows, in order of micro-batches and then of partitions. */
  readonly rows: { readonly [sink: string]: readonly RowObject[] };
  /** Faults that happened, by kind. */
  readonly faults: { readonly [kind: string]: number };
  readonly recoveries: number;
};

/**
 * Runs a pipeline in the simulator, with the given rows in place of its sources, and gives what its
 * sinks got. Throws a StreamError when a run loses, doubles or changes a row (`simulation-failed`),
 * or when an operator does not give the same for the same input (`not-deterministic`); it names the
 * seed and what went wrong in the simulated cluster.
 *
 * @example
 * const input = [{ kind: 'view', user: 'a', event_time: 0 }];
 * for (const { rows } of simulate(campaigns, { input, seeds: 50 })) {
 *   console.log(rows);
 * }
 */
export function simulate(pipeline: Pipeline, options: SimulateOptions): readonly SimulatedRun[] {
  const { from = 0, seeds = 20, faults = true, mode = 'drizzle' } = options;
  const guards = new OperatorGuards();
  const given = givenTo(pipeline, options);
  const bindings = { ...given.bindings, functions: guards.watch(given.bindings.functions) };
  const scenario = { name: pipeline.name, anyOrder: false, opaque: null };
  // Events lie in the past when the run begins, whenever they happened.
  const planned = { logical: given.logical, bindings, aheadMs: given.latestMs - startMs };
  return Array.from({ length: seeds }, (_, index) => {
    const seed = from + index;
    const drawn = toTheEnd(drawFor(seed, { scenario, ...planned, faults, mode }));
    try {
      return runOf(drawn);
    } catch (error) {
      if (guards.violation !== null) throw guards.violation;
      throw failure(drawn, error);
    }
  });
}

/**
 * Runs every task of a pipeline twice over the given rows, and compares the bytes that it gives.
 * Throws a StreamError `not-deterministic` where they differ, or with the place where an operator
 * asks for the time or for random numbers.
 *
 * @example
 * checkDeterminism(campaigns, { input: [{ kind: 'view', user: 'a', event_time: 0 }] });
 */
export function checkDeterminism(
  pipeline: Pipeline,
  options: Pick<SimulateOptions, 'input' | 'sourcePartitions' | 'seeds'>,
): void {
  simulate(pipeline, { seeds: 4, ...options, faults: false });
}

function givenTo(pipeline: Pipeline, { input, sourcePartitions = 2 }: SimulateOptions) {
  const logical = pipeline.plan();
  const rowsOf = ({ id, name }: SourceSpec): GivenRows => {
    const rows = Array.isArray(input)
      ? (input as readonly object[])
      : (input as { readonly [source: string]: readonly object[] })[name];
    if (rows === undefined || (Array.isArray(input) && logical.sources.length > 1)) {
      const names = logical.sources.map((source) => `"${source.name}"`).join(', ');
      throw new StreamError({
        code: 'no-simulated-input',
        message: `could not simulate pipeline "${pipeline.name}": no rows for source "${name}"`,
        hint: `give input by name of source: ${names}`,
        fields: { source: id },
      });
    }
    return Array.from({ length: sourcePartitions }, (_, partition) =>
      rows.filter((_row, index) => index % sourcePartitions === partition),
    ) as GivenRows;
  };
  return withGivenRows(logical, pipeline.bindings(), rowsOf);
}

/** Nobody stops the job: all of the input is read, so that its output can be told beforehand. */
function toTheEnd(drawn: DrawnSimulation): DrawnSimulation {
  const interventions = drawn.cluster.interventions.filter(({ event }) => {
    return event.kind !== 'stop-requested';
  });
  return { ...drawn, cluster: { ...drawn.cluster, interventions } };
}

function runOf(drawn: DrawnSimulation): SimulatedRun {
  const { run } = runSimulation(drawn);
  const names = new Map(drawn.logical.sinks.map(({ id, name }) => [id as string, name]));
  const rows: { [sink: string]: RowObject[] } = {};
  for (const name of names.values()) rows[name] = [];
  const commits = run.visible.toSorted((a, b) => a.batch - b.batch || a.partition - b.partition);
  for (const { sink, rows: more } of commits) rows[names.get(sink)!]!.push(...more);
  const faults = Object.fromEntries(run.faults);
  return { seed: drawn.seed, rows, faults, recoveries: run.rounds };
}

function failure(drawn: DrawnSimulation, cause: unknown): StreamError {
  const { seed, scenario, cluster } = drawn;
  const calm = { ...drawn, faults: null, cluster: { ...cluster, interventions: [] } };
  const reason = errorToData(cause).message;
  const fields = { seed, mode: cluster.mode };
  if (errorOf(calm) !== null) {
    return new StreamError({
      code: 'not-deterministic',
      message: `pipeline "${scenario.name}" gave other rows for the same input: ${reason}`,
      hint: `operators must depend on their input alone; run it again with from: ${seed}, seeds: 1`,
      fields,
      cause,
    });
  }
  const least = shrink(drawn, { fails: (one) => errorOf(one) !== null, runsMax: 100 });
  const events = [
    ...(least.faults?.faults ?? []).map(faultText),
    ...least.cluster.interventions.map(({ event, afterMs }) => `${event.kind} at ${afterMs} ms`),
  ];
  return new StreamError({
    code: 'simulation-failed',
    message: `pipeline "${scenario.name}" failed with seed ${seed}: ${reason}`,
    hint: `run it again with from: ${seed}, seeds: 1; it takes: ${events.join('; ') || 'nothing'}`,
    fields,
    cause,
  });
}

function errorOf(drawn: DrawnSimulation): unknown {
  try {
    runSimulation(drawn);
    return null;
  } catch (error) {
    return error;
  }
}
