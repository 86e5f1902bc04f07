// The oracle: the same tasks, one after the other in order of micro-batches and stages, in one
// place, over the ranges that the simulated run chose. What the run made visible must be the same,
// record by record, and what its tasks sent each other byte by byte. Of tasks that stayed open the
// parts are put together again; then rows of a micro-batch may come in another order.

import { assert } from '../base/assert.ts';
import { canonicalJson } from '../base/canonical-json.ts';
import type { PlanShape } from '../control/driver/placement.ts';
import type { Handle } from '../control/protocol/messages.ts';
import type { ClusterRun } from './cluster.ts';
import type { Commit, RanTask, TaskRunner } from './task-runner.ts';

/** Throws an AssertionError at the first difference. `runner` is a fresh one. */
export function compareWithReference(run: ClusterRun, shape: PlanShape, runner: TaskRunner): void {
  const { commits, inParts, lastBatch } = referenceOf(run, shape, runner);
  const expected = new Map(commits.map((commit) => [nameOf(commit), commit]));
  const latest = new Map<string, number>();
  for (const commit of run.visible) {
    const place = `${commit.sink}/${commit.partition}`;
    assert(commit.batch > (latest.get(place) ?? -1), `${nameOf(commit)} appears out of order`);
    latest.set(place, commit.batch);
    if (commit.batch > lastBatch) continue;
    const wanted = expected.get(nameOf(commit));
    assert(wanted !== undefined, `${nameOf(commit)} has output that it should not have`);
    const rows = rowTexts(commit, inParts);
    const wantedRows = rowTexts(wanted, inParts);
    const index = rows.findIndex((row, at) => row !== wantedRows[at]);
    assert(index < 0, `${nameOf(commit)} row ${index}: ${rows[index]}, not ${wantedRows[index]}`);
    assert(rows.length === wantedRows.length, `${nameOf(commit)} lacks rows`);
    expected.delete(nameOf(commit));
  }
  const [lost] = expected.keys();
  assert(lost === undefined, `${lost} never became visible`);
}

export type Reference = {
  /** In the order of a sequential run; each sink partition has one of a micro-batch at most. */
  readonly commits: readonly Commit[];
  /** Tasks stayed open: rows of a micro-batch may come in another order. */
  readonly inParts: boolean;
  readonly lastBatch: number;
};

/** What a finished run should have made visible. Throws where its tasks gave other bytes. */
export function referenceOf(run: ClusterRun, shape: PlanShape, runner: TaskRunner): Reference {
  assert(run.outcome.kind === 'finished', 'only a finished run has a whole output');
  const { lastBatch } = run.outcome;
  const inParts = run.tasks.some(({ last }) => !last);
  const counted = attemptsThatCount(run.tasks);
  const whole = inParts ? wholeTasks(counted) : counted;
  const tasks = whole.filter(({ task }) => task.batch <= lastBatch);
  assertEachRecordOnce(tasks);
  const commits = sequentialCommits(tasks, shape, { runner, inParts });
  const names = new Set<string>();
  for (const commit of commits) {
    assert(!names.has(nameOf(commit)), `${nameOf(commit)} has output twice`);
    names.add(nameOf(commit));
  }
  return { commits, inParts, lastBatch };
}

/** Ranges of a source partition follow one another: no record is read twice, and none left out. */
function assertEachRecordOnce(tasks: readonly RanTask[]): void {
  const reads = tasks.filter(({ range }) => range !== null).toSorted(inSequence);
  const positions = new Map<string, number>();
  for (const { task, range } of reads) {
    const place = `s${task.stage}p${task.partition}`;
    const at = positions.get(place) ?? 0;
    assert(range!.from === at, `${place}@${task.batch} reads from ${range!.from}, not ${at}`);
    positions.set(place, range!.to);
  }
}

/** Where a stop has ended a source that had more to give, no source is read any further. */
export function assertStoppedTogether(
  run: ClusterRun,
  recordCount: (stage: number, partition: number) => number,
): void {
  assert(run.outcome.kind === 'finished', 'only a finished run has an end');
  const { lastBatch } = run.outcome;
  let stop = Infinity;
  const reads = attemptsThatCount(run.tasks).filter(({ task, range }) => {
    return range !== null && task.batch <= lastBatch;
  });
  for (const { task, range } of reads) {
    const isStopped = range!.ended && range!.to < recordCount(task.stage, task.partition);
    if (isStopped) stop = Math.min(stop, task.batch);
  }
  for (const { task, range } of reads) {
    const { stage, partition, batch } = task;
    const goesOn = batch > stop && range!.to > range!.from;
    assert(!goesOn, `s${stage}p${partition} is read @${batch}, and another was stopped @${stop}`);
  }
}

function rowTexts({ rows }: Commit, inAnyOrder: boolean): readonly string[] {
  const texts = rows.map(canonicalJson);
  return inAnyOrder ? texts.sort() : texts;
}

/**
 * Of a task that was run several times, the last run by the newest placement counts: one by an
 * older may begin and end after it, and is forgotten. One by a worker that was declared dead counts
 * only if there was no other: its blocks had come before.
 */
export function attemptsThatCount(tasks: readonly RanTask[]): readonly RanTask[] {
  const byTask = Map.groupBy(tasks, ({ task }) => `${task.stage}/${task.partition}/${task.batch}`);
  return [...byTask.values()].flatMap((runs) => {
    const living = runs.filter(({ zombie }) => !zombie);
    const all = (living.length > 0 ? living : runs).toSorted(
      (a, b) => a.version - b.version || a.startedMs - b.startedMs,
    );
    return all.slice(all.findLastIndex(({ part }) => part === 0));
  });
}

/** Parts of a source task read ranges that follow one another: together they are one. */
function wholeTasks(parts: readonly RanTask[]): readonly RanTask[] {
  const byTask = Map.groupBy(parts, ({ task }) => `${task.stage}/${task.partition}/${task.batch}`);
  return [...byTask.values()].flatMap((all) => {
    const [first, final] = [all[0], all.at(-1)];
    if (first === undefined || final === undefined || !final.last) return [];
    const range =
      first.range === null || final.range === null
        ? null
        : { ...final.range, from: first.range.from };
    return [{ ...first, part: 0, last: true, range }];
  });
}

function sequentialCommits(
  tasks: readonly RanTask[],
  shape: PlanShape,
  { runner, inParts }: { readonly runner: TaskRunner; readonly inParts: boolean },
): readonly Commit[] {
  const commits: Commit[] = [];
  const outputs = new Map<string, readonly Handle[]>();
  for (const { task, range, triggerMs, outputTexts } of tasks.toSorted(inSequence)) {
    const stage = shape.stages[task.stage];
    assert(stage !== undefined, `no stage ${task.stage}`);
    const inputs = stage.inputs.map((exchange) => {
      const { from, fanIn } = shape.exchanges[exchange] ?? { from: -1 };
      const producers = shape.stages[from];
      assert(producers !== undefined, `no stage before exchange ${exchange}`);
      const position = producers.outputs.indexOf(exchange);
      const all = Array.from({ length: producers.partitionCount }, (_, producer) => producer);
      const own = all.filter((producer) => {
        return fanIn === undefined || Math.floor(producer / fanIn) === task.partition;
      });
      return own.map((producer) => {
        const given = outputs.get(`${from}/${producer}/${task.batch}`);
        assert(given !== undefined, `a producer of exchange ${exchange} never ran`);
        return { producer, output: given[position] };
      });
    });
    const ends = { part: 0, last: true };
    const given = { inputs: stage.source ? null : inputs, range, triggerMs, replay: null };
    const order = { task, ...ends, ...given, chunk: null };
    const outcome = runner.run(order);
    if (!inParts)
      outcome.outputs.forEach((output, index) => {
        const place = `s${task.stage}p${task.partition}@${task.batch}`;
        assert(runner.textOf(output) === outputTexts[index], `${place} gave other bytes`);
      });
    outputs.set(`${task.stage}/${task.partition}/${task.batch}`, outcome.outputs);
    commits.push(...outcome.commits);
  }
  return commits;
}

function inSequence({ task: a }: RanTask, { task: b }: RanTask): number {
  return a.batch - b.batch || a.stage - b.stage || a.partition - b.partition;
}

function nameOf({ sink, partition, batch }: Commit): string {
  return `${sink}/${partition}@${batch}`;
}
