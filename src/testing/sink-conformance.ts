// What every sink must do, whoever wrote it, checked record by record: output appears once, also
// when the writer is killed between any two of its steps, when a writer that was replaced goes on,
// and when what is visible is committed again.

import assert from 'node:assert/strict';
import type { Batch } from '../data/columnar/batch.ts';
import { rowsToBatch } from '../data/columnar/rows.ts';
import type { Sink, SinkContext, SinkRun, SinkWriter } from '../ports/sink.ts';
import type { RowObject, RowSchema } from '../schema/data-type.ts';
import { HaltingProcess, Killed } from './halting-process.ts';

export type SinkWorld = {
  /** The sink as a process builds it. Its steps go through the process. */
  readonly sink: (process: HaltingProcess) => Sink;
  /** All rows that a reader sees, in the order in which it sees those of one sink partition. */
  readonly visible: () => Promise<readonly RowObject[]>;
  /**
   * Nobody sees rows of a zombie, whatever they are. False: only rows that the next writer repeats
   * in the same bytes, since the medium cannot keep a late write out.
   */
  readonly fencesForeignRows: boolean;
  readonly close?: () => Promise<void>;
};

/** An empty place to write to, each time. */
export type NewWorld = () => Promise<SinkWorld>;

/** Keys of an upsert could be the first three. */
export const conformanceSchema: RowSchema = {
  fields: [
    { name: 'partition', path: ['partition'], type: { kind: 'int32' }, nullable: false },
    { name: 'batch', path: ['batch'], type: { kind: 'int32' }, nullable: false },
    { name: 'row', path: ['row'], type: { kind: 'int32' }, nullable: false },
    { name: 'text', path: ['text'], type: { kind: 'string' }, nullable: true },
  ],
};

/** The micro-batches with output of each sink partition: there are gaps, and an empty one. */
const script: ReadonlyMap<number, readonly number[]> = new Map([
  [0, [0, 2, 3, 7]],
  [1, [1, 2, 9]],
]);
const emptyBatch = 2;
const emptyPartition = 1;

/** For sinks whose output outlives the process. */
export async function checkKills(newWorld: NewWorld): Promise<number> {
  let step = 0;
  for (; ; step++) {
    const world = await newWorld();
    const process = new HaltingProcess({ kind: 'kill', step });
    await checkKill(world, process).finally(() => world.close?.());
    if (!process.halted) return step;
  }
}

async function checkKill(world: SinkWorld, process: HaltingProcess): Promise<void> {
  const done = new Map<number, number>();
  const wasPrepared = await runScript(world, { process, run: firstRun, done });
  // The next one dies, too, somewhere on its way; the third comes through.
  const second = { ...firstRun, term: 2, resumes: wasPrepared };
  const next = new HaltingProcess({ kind: 'kill', step: done.size * 5 + 3 });
  const isSecondPrepared = await runScript(world, { process: next, run: second, done });
  const third = { ...firstRun, term: 3, resumes: wasPrepared || isSecondPrepared };
  await runScript(world, { process: new HaltingProcess(), run: third, done });
  assertVisible(await world.visible(), script);
}

type Life = {
  readonly process: HaltingProcess;
  readonly run: SinkRun;
  /** By partition, the last micro-batch that was said to be visible. */
  readonly done: Map<number, number>;
};

/** A run from its start to its end, or its death. Gives whether it was prepared. */
async function runScript(world: SinkWorld, { process, run, done }: Life): Promise<boolean> {
  let isPrepared = false;
  try {
    const sink = world.sink(process);
    await sink.prepare(contextOf(run));
    isPrepared = true;
    for (const [partition, batches] of script) {
      const writer = await sink.open(partition, contextOf(run));
      const through = writer.committedThrough;
      assert.ok(through >= (done.get(partition) ?? -1), 'what was committed is in the ledger');
      await assertLedger(world, { partition, through });
      done.set(partition, through);
      for (const batch of batches.filter((number) => number > through)) {
        await commit(writer, partition, batch);
        // Without rows it leaves no entry.
        if (hasRows(partition, batch)) done.set(partition, batch);
      }
      await writer.close();
    }
    await sink.finish();
  } catch (error) {
    if (!process.isDead) throw error;
  }
  return isPrepared;
}

/** Exactly the micro-batches up to the ledger's are visible. */
async function assertLedger(
  world: SinkWorld,
  { partition, through }: { readonly partition: number; readonly through: number },
): Promise<void> {
  const rows = await world.visible();
  const expected = new Map([[partition, script.get(partition)!.filter((b) => b <= through)]]);
  assertVisible(
    rows.filter((row) => row['partition'] === partition),
    expected,
  );
}

/**
 * For all sinks. A writer stands still before each of its steps, and another one replaces it; when
 * it goes on, it lives, or dies some steps later.
 */
export async function checkZombies(newWorld: NewWorld, next: Partial<SinkRun>): Promise<number> {
  let step = 0;
  for (; ; step++) {
    let halted = false;
    for (const diesAfter of [Infinity, 1, 2]) {
      const world = await newWorld();
      const process = new HaltingProcess({ kind: 'pause', step, diesAfter });
      await checkZombie(world, { process, next }).finally(() => world.close?.());
      halted = process.halted;
    }
    if (!halted) return step;
  }
}

async function checkZombie(
  world: SinkWorld,
  { process, next }: { readonly process: HaltingProcess; readonly next: Partial<SinkRun> },
): Promise<void> {
  // It is prepared by a process of its own: that must be over before anybody takes over.
  await world.sink(new HaltingProcess()).prepare(contextOf(firstRun));
  const zombie = world.sink(process);
  const outcome: { writer: SinkWriter | null; through: number; error: unknown } = {
    writer: null,
    through: -1,
    error: null,
  };
  const life = (async () => {
    outcome.writer = await zombie.open(0, contextOf(firstRun));
    for (const batch of [0, 2]) {
      await commit(outcome.writer, 0, batch);
      outcome.through = batch;
    }
  })().catch((error: unknown) => {
    outcome.error = error;
  });
  await Promise.race([process.paused, life]);
  const run = { ...firstRun, resumes: true, ...next };
  const sink = world.sink(new HaltingProcess());
  const writer = await sink.open(0, contextOf(run));
  const through = writer.committedThrough;
  assert.ok(through >= outcome.through, 'what the zombie had committed is in the ledger');
  for (const batch of [0, 2, 3].filter((number) => number > through)) {
    await commit(writer, 0, batch);
  }
  process.goOn();
  await life;
  if (outcome.error !== null && !process.isDead) assertFenced(outcome.error);
  await assertHarmless(world, { sink: zombie, writer: outcome.writer, process });
  await commit(writer, 0, 7);
  await writer.close();
  assertVisible(await world.visible(), new Map([[0, script.get(0)!]]));
  // Whatever the zombie has left behind.
  const last = await world.sink(new HaltingProcess()).open(0, contextOf({ ...run, term: 9 }));
  assert.equal(last.committedThrough, 7, 'the ledger says what is visible');
  await last.close();
  assertVisible(await world.visible(), new Map([[0, script.get(0)!]]));
}

/** Whatever it tries now; on the way it may die. */
async function assertHarmless(
  world: SinkWorld,
  zombie: {
    readonly sink: Sink;
    readonly writer: SinkWriter | null;
    readonly process: HaltingProcess;
  },
): Promise<void> {
  const { sink, writer, process } = zombie;
  const isRefused = (error: unknown): boolean => process.isDead || assertFenced(error);
  if (writer !== null) {
    await assert.rejects(commit(writer, 0, 7), isRefused);
    if (world.fencesForeignRows) {
      const rows = batchOf([{ partition: 0, batch: 7, row: 99, text: 'invented' }]);
      await assert.rejects(writer.commit({ batch: 7, rows, watermarkMs: 0 }), isRefused);
    }
    await writer.close().catch((error: unknown) => {
      if (!process.isDead) throw error;
    });
  }
  await assert.rejects(sink.open(0, contextOf({ ...firstRun, term: 0 })), isRefused);
}

/**
 * For sinks whose output outlives the process, set to replace what is there: one that prepares a
 * run stands still before each of its steps, and another one prepares and runs it.
 */
export async function checkPreparing(newWorld: NewWorld): Promise<number> {
  let step = 0;
  for (; ; step++) {
    const world = await newWorld();
    const process = new HaltingProcess({ kind: 'pause', step, diesAfter: Infinity });
    await checkPrepared(world, process).finally(() => world.close?.());
    if (!process.halted) return step;
  }
}

async function checkPrepared(world: SinkWorld, process: HaltingProcess): Promise<void> {
  const old = { ...firstRun, history: 'h0' };
  await runScript(world, { process: new HaltingProcess(), run: old, done: new Map() });
  const zombie = world.sink(process);
  let isPrepared = false;
  const life = zombie.prepare(contextOf(firstRun)).then(
    () => {
      isPrepared = true;
    },
    (error: unknown) => assertFenced(error),
  );
  await Promise.race([process.paused, life]);
  const run = { ...firstRun, term: 2 };
  const sink = world.sink(new HaltingProcess());
  await sink.prepare(contextOf(run));
  const writer = await sink.open(0, contextOf(run));
  assert.equal(writer.committedThrough, -1, 'the ledger of a new history is empty');
  for (const batch of [0, 2]) await commit(writer, 0, batch);
  process.goOn();
  await life;
  if (isPrepared) await assert.rejects(zombie.open(0, contextOf(firstRun)), assertFenced);
  for (const batch of [3, 7]) await commit(writer, 0, batch);
  await writer.close();
  await sink.finish();
  assertVisible(await world.visible(), new Map([[0, script.get(0)!]]));
}

/**
 * For sinks whose output outlives the process: a run dies at any of its steps, and a new history
 * follows that keeps its output. That dies, too, somewhere, and the next one comes through.
 */
export async function checkKept(newWorld: NewWorld): Promise<number> {
  let step = 0;
  for (; ; step++) {
    const world = await newWorld();
    const process = new HaltingProcess({ kind: 'kill', step });
    const next = new HaltingProcess({ kind: 'kill', step: (7 * step) % 31 });
    await checkKeptOnce(world, process, next).finally(() => world.close?.());
    if (!process.halted) return step;
  }
}

async function checkKeptOnce(
  world: SinkWorld,
  first: HaltingProcess,
  next: HaltingProcess,
): Promise<void> {
  const done = new Map<number, number>();
  await runScript(world, { process: first, run: firstRun, done });
  const second = { ...firstRun, history: 'h2', term: 2, keeps: [firstRun.history] };
  const isPrepared = await runBehind(world, { process: next, run: second });
  // Nobody of the history before can add to it any more.
  if (isPrepared) {
    const former = world.sink(new HaltingProcess()).open(0, contextOf(firstRun));
    await assert.rejects(former, assertFenced);
  }
  const third = { ...second, term: 3, resumes: isPrepared, keeps: isPrepared ? null : ['h1'] };
  await runBehind(world, { process: new HaltingProcess(), run: third });
  const rows = await world.visible();
  for (const [partition, batches] of script) {
    const own = rows.filter((row) => row['partition'] === partition);
    const seen = batches.filter((batch) => own.some((row) => row['batch'] === batch));
    const committed = done.get(partition) ?? -1;
    assert.ok(
      batches.every(
        (batch) => batch > committed || !hasRows(partition, batch) || seen.includes(batch),
      ),
      'what was committed stays',
    );
    const added = batches.map((batch) => batch + behind);
    assertVisible(own, new Map([[partition, [...seen, ...added]]]));
  }
}

/** Micro-batches of the second history are so much greater. */
const behind = 100;

function hasRows(partition: number, batch: number): boolean {
  return rowsOf(partition, batch).length > 0;
}

/** As `runScript`, with other numbers. */
async function runBehind(world: SinkWorld, { process, run }: Omit<Life, 'done'>): Promise<boolean> {
  let isPrepared = false;
  try {
    const sink = world.sink(process);
    await sink.prepare(contextOf(run));
    isPrepared = true;
    for (const [partition, batches] of script) {
      const writer = await sink.open(partition, contextOf(run));
      const due = batches.filter((batch) => batch + behind > writer.committedThrough);
      for (const batch of due) await commit(writer, partition, batch + behind);
      await writer.close();
    }
    await sink.finish();
  } catch (error) {
    if (!process.isDead) throw error;
  }
  return isPrepared;
}

/** For all sinks: what is visible is kept and said, and nothing is visible twice. */
export async function checkReopening(newWorld: NewWorld): Promise<void> {
  const world = await newWorld();
  try {
    const sink = world.sink(new HaltingProcess());
    await sink.prepare(contextOf(firstRun));
    const run = { ...firstRun, resumes: true };
    for (let life = 0; life < 3; life++) {
      for (const [partition, batches] of script) {
        const writer = await sink.open(partition, contextOf(run));
        const due = batches.slice(0, life + 2).filter((batch) => batch > writer.committedThrough);
        for (const batch of due) await commit(writer, partition, batch);
        await writer.close();
      }
      const seen = new Map<number, readonly number[]>();
      for (const [partition, all] of script) seen.set(partition, all.slice(0, life + 2));
      assertVisible(await world.visible(), seen);
    }
    await sink.finish();
  } finally {
    await world.close?.();
  }
}

const firstRun: SinkRun = {
  pipeline: 'conformance',
  history: 'h1',
  term: 1,
  incarnation: 1,
  resumes: false,
  keeps: null,
};

function contextOf(run: SinkRun): SinkContext {
  return { nowMs: () => 0, schema: conformanceSchema, name: 'out', run };
}

async function commit(writer: SinkWriter, partition: number, batch: number): Promise<void> {
  await writer.commit({ batch, rows: batchOf(rowsOf(partition, batch)), watermarkMs: batch });
}

function rowsOf(partition: number, batch: number): RowObject[] {
  if (partition === emptyPartition && batch === emptyBatch) return [];
  return Array.from({ length: 1 + ((partition + batch) % 3) }, (_, row) => {
    return { partition, batch, row, text: row === 1 ? null : `${batch}"\t\\N,\n'é${row}` };
  });
}

function batchOf(rows: readonly RowObject[]): Batch {
  const check = { nowMs: 0, timeAheadMsMax: 0, timeField: -1, onBad: () => assert.fail() };
  return rowsToBatch(conformanceSchema, rows, check);
}

/** Each partition's rows, in order, once. */
function assertVisible(
  rows: readonly RowObject[],
  expected: ReadonlyMap<number, readonly number[]>,
): void {
  const partitions = new Set([
    ...expected.keys(),
    ...rows.map((row) => row['partition'] as number),
  ]);
  for (const partition of partitions) {
    const wanted = (expected.get(partition) ?? []).flatMap((batch) => rowsOf(partition, batch));
    const found = rows.filter((row) => row['partition'] === partition);
    assert.deepEqual(found, wanted, `the visible rows of partition ${partition}`);
  }
}

function assertFenced(error: unknown): true {
  assert.ok(!(error instanceof Killed), 'only what was to be killed is');
  assert.equal((error as { code?: unknown }).code, 'fenced', String(error));
  return true;
}
