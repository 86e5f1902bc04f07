// How a pipeline that was changed goes on from its last checkpoint: what the checkpoint holds is
// put where the plan of now has it, and committed as a checkpoint of that plan before anything
// runs. So what the range log holds behind a checkpoint was always read under that one's plan.

import { StreamError } from '../../base/stream-error.ts';
import { workersMax } from '../../control/limits.ts';
import type { Term } from '../../control/protocol/ids.ts';
import type {
  CheckpointContent,
  CheckpointManifest,
  PartitionState,
} from '../../control/protocol/checkpoint-manifest.ts';
import type { PhysicalPlan } from '../../plan/physical-plan.ts';
import type { PlanMapping, StageMove } from '../../plan/plan-compatibility.ts';
import { planCompatibility } from '../../plan/plan-compatibility.ts';
import type { PlanStructure } from '../../plan/plan-structure.ts';
import { planStructure } from '../../plan/plan-structure.ts';
import { CheckpointStore } from '../storage/checkpoint-store.ts';
import type { LogPlace } from './durable-job.ts';
import { openDurability } from './durable-job.ts';
import type { DurableStart } from './durable-start.ts';
import type { JobConfig } from './job-config.ts';

/** What becomes of a checkpoint in the plan of now; null: the plan has not changed. */
export type PlanChange = PlanMapping | null;

/** Throws `checkpoint-incompatible` with the operator and the difference. */
export function planChange(
  manifest: CheckpointManifest,
  now: { readonly plan: PhysicalPlan; readonly partitionCounts: readonly number[] },
  dropsState: boolean,
): PlanChange {
  const structure = planStructure(now.plan, now.partitionCounts);
  if (isSamePlan(manifest.structure, structure)) return null;
  const found = planCompatibility(manifest.structure, structure, {
    dropsState,
    batch: manifest.batch,
    hasState: (stage) => manifest.state.some((each) => each.stage === stage),
  });
  if (found.kind === 'compatible') return found;
  const { name, difference, remedy } = found;
  throw new StreamError({
    code: 'checkpoint-incompatible',
    message: `could not go on from ${nameOf(manifest)}: ${difference}`,
    hint:
      `${remedy}; or begin a new history: --fresh (\`fresh: true\`); ` +
      'docs/upgrading.md says what may change',
    fields: { pipeline: manifest.pipeline, checkpoint: manifest.sequence, name },
  });
}

/** Functions may have changed: their code is whatever the pipeline has now. */
function isSamePlan(before: PlanStructure, now: PlanStructure): boolean {
  const counts = now.stages.map(({ partitions }) => partitions);
  return (
    before.hash === now.hash &&
    before.stages.every(({ partitions }, stage) => partitions === counts[stage])
  );
}

/** The names of sinks in their ledgers, where these are not their ids. */
export function ledgersOf(
  manifest: CheckpointManifest | null,
  change: PlanChange,
): JobConfig['ledgers'] {
  if (change !== null) return change.ledgers;
  const sinks = manifest?.structure.sinks ?? [];
  const other = sinks.filter(({ id, ledger }) => id !== ledger);
  return Object.fromEntries(other.map(({ id, ledger }) => [id, ledger]));
}

export type ChangedJob = {
  readonly config: JobConfig;
  readonly plan: PhysicalPlan;
  readonly nowMs: () => number;
  readonly warn: (text: string) => void;
};

/**
 * The run goes on from the newest checkpoint as one of its own plan. Throws `unclean-change` where
 * what was read behind the checkpoint cannot be run again by the plan of now.
 */
export async function moveCheckpoint(
  durable: DurableStart,
  change: PlanMapping,
  job: ChangedJob,
): Promise<void> {
  const manifest = durable.latest!;
  const { config, plan, nowMs, warn } = job;
  const read = await readBehind(durable, manifest, { place: config.durability!, nowMs });
  if (read !== null && change.replayHazard !== null) {
    throw unclean(manifest, read, change.replayHazard);
  }
  for (const note of change.notes) warn(note);
  if (read !== null) {
    warn(
      `${batchesText(read)} had been read by another version of the pipeline: this one runs them ` +
        'again, and what is visible of them stays as it is',
    );
  }
  const { term } = durable;
  const checkpoints = new CheckpointStore(durable.store, { pipeline: plan.name, nowMs, warn });
  const state: PartitionState[] = [];
  for (const move of change.stages)
    state.push(...(await moveStage(checkpoints, manifest, move, term)));
  const content: CheckpointContent = {
    history: config.history,
    startMs: config.startMs,
    batch: manifest.batch,
    planHash: plan.hash,
    structure: planStructure(plan, config.partitionCounts, config.ledgers),
    sources: plan.sources.map(({ id }) => {
      const former = manifest.sources.find(({ source }) => source === change.sources.get(id));
      const partitions = former?.partitions ?? [];
      return { source: id, layout: config.layouts[id] ?? null, partitions };
    }),
    state,
    sinks: [],
    savepoint: null,
  };
  await durable.beginHistory(content);
}

export type Span = { readonly first: number; readonly last: number };

/** What was read behind the checkpoint; nobody adds to it from now on. Null: nothing. */
export async function readBehind(
  { term }: Pick<DurableStart, 'term'>,
  { batch, pipeline }: CheckpointManifest,
  { place, nowMs }: { readonly place: LogPlace; readonly nowMs: () => number },
): Promise<Span | null> {
  const { log, close } = await openDurability(place, pipeline, nowMs);
  try {
    // First the fence, so that nobody begins behind the listing.
    await log.fence(term as Term);
    const former = (await log.writers()).filter((name) => !name.startsWith(`t${term}-`));
    await Promise.all(former.map((name) => log.seal(name)));
    const batches = (await log.read(batch)).map((range) => range.batch);
    // They come in ascending order.
    return batches.length === 0 ? null : { first: batch + 1, last: batches.at(-1)! };
  } finally {
    await close();
  }
}

/** A stage's state where the plan of now has it: objects of before, or written anew. */
async function moveStage(
  checkpoints: CheckpointStore,
  { state, batch }: CheckpointManifest,
  { from, to, isSame }: StageMove,
  term: number,
): Promise<readonly PartitionState[]> {
  const own = state.filter(({ stage }) => stage === from.stage);
  if (own.length === 0) return [];
  if (isSame) return own.map((each) => ({ ...each, stage: to.stage }));
  const [root] = to.operators;
  const operator = to.source ?? root!.id;
  // Each partition of a source is what it is, and what was broadcast is the same in all.
  const isSplit = root?.kind === 'aggregate' && to.source === null;
  const count = to.source === null ? to.partitions : own.length;
  // Loaded when there is something to move: starts seldom have that.
  const { moveState, partitionsBehind } = await import('../../data/task/moved-state.ts');
  const moved: PartitionState[] = [];
  for (let partition = 0; partition < count; partition++) {
    const place = { operator, stage: to.stage, partition, partitionCount: to.partitions };
    const wanted = isSplit
      ? partitionsBehind(place, from.partitions)
      : [own[Math.min(partition, own.length - 1)]!.partition];
    const chains: Uint8Array[][] = [];
    for (const number of wanted) {
      const objects = own.find((each) => each.partition === number)?.objects ?? [];
      chains.push(await Promise.all(objects.map((object) => checkpoints.readState(object))));
    }
    const bytes = moveState(chains, place);
    // No worker has this number, so the object's name is its own.
    const writer = { term, worker: workersMax, incarnation: 0 };
    const name = { stage: to.stage, partition, batch, kind: 'base' } as const;
    const object = await checkpoints.writeState(writer, name, bytes);
    moved.push({ stage: to.stage, partition, objects: [object] });
  }
  return moved;
}

function nameOf({ sequence, pipeline }: CheckpointManifest): string {
  return `checkpoint ${sequence} of "${pipeline}"`;
}

function batchesText({ first, last }: Span): string {
  return first === last ? `micro-batch ${first}` : `micro-batches ${first} to ${last}`;
}

function unclean(manifest: CheckpointManifest, read: Span, hazard: string): StreamError {
  return new StreamError({
    code: 'unclean-change',
    message:
      `could not go on from ${nameOf(manifest)}: ${batchesText(read)}, read by the version ` +
      `before and perhaps visible, cannot be run again by this one: ${hazard}`,
    hint:
      'start the version before once more and stop it with Ctrl-C, which takes a checkpoint of ' +
      'all that was read; then start this one; or begin a new history: --fresh (`fresh: true`)',
    fields: { pipeline: manifest.pipeline, checkpoint: manifest.sequence, ...read },
  });
}
