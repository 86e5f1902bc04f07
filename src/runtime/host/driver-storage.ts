// What a driver keeps outside itself: it closes and reads the range log after a loss, and commits
// checkpoints, fenced by its term. Carries out orders of the driver machine.

import type { RecoveryOptions } from '../../control/driver/driver-machine.ts';
import type { DriverEffect } from '../../control/driver/events.ts';
import type { CompleteCheckpoint } from '../../control/driver/checkpoint-schedule.ts';
import type { Checkpoint } from '../../control/driver/recovery-round.ts';
import type {
  CheckpointContent,
  CheckpointManifest,
} from '../../control/protocol/checkpoint-manifest.ts';
import type { BatchNumber, Term } from '../../control/protocol/ids.ts';
import { firstVersionOf, termOf } from '../../control/protocol/ids.ts';
import type {
  KnownRanges,
  PartitionSnapshot,
  WorkerLife,
} from '../../control/protocol/messages.ts';
import type { RangeRecord } from '../../data/task/task.ts';
import type { SourceId } from '../../plan/logical-plan.ts';
import type { PhysicalPlan } from '../../plan/physical-plan.ts';
import { planStructure } from '../../plan/plan-structure.ts';
import type { LoggedRange, RangeLogWriter } from '../../ports/range-log.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { ManifestWriter } from '../storage/checkpoint-store.ts';
import type { Durability, OpenDurability } from './durable-job.ts';
import { driverLogName, lifeName, logName, openDurability, parseLogName } from './durable-job.ts';
import type { DriverJournal } from './driver-journal.ts';
import type { DurableStart } from './durable-start.ts';
import type { JobConfig } from './job-config.ts';
import { decodeRanges, encodeRanges } from './range-codec.ts';
import type { RunClock } from './run-clock.ts';
import type { SnapshotHandle } from './snapshot-handle.ts';

export type DriverStorageOptions = {
  readonly config: JobConfig;
  readonly durability: Durability;
  readonly open: OpenDurability;
  readonly plan: PhysicalPlan;
  readonly manifests: ManifestWriter;
  readonly journal: DriverJournal;
};

/** Some ten milliseconds of work each time, at 200 micro-batches a second. */
const keepUpMs = 1000;

type JournalPlacement = Extract<DriverEffect, { kind: 'journal-placement' }>;
type ReadLog = Extract<DriverEffect, { kind: 'read-log' }>;

export class DriverStorage {
  readonly #options: DriverStorageOptions;
  /** By source: the stage that reads it. */
  readonly #stages: ReadonlyMap<SourceId, number>;
  readonly #sources: ReadonlyMap<number, SourceId>;
  readonly #log: RangeLogWriter;
  /** Not waited for before there is a loss. */
  readonly #fenced: Promise<void>;
  #former: Promise<readonly string[]> | null = null;
  #closesFormer: Promise<unknown> | null = null;
  /** By life: its logs of terms before this one. */
  readonly #olderLogs = new Map<string, readonly string[]>();
  readonly #term: Term;
  #last: CheckpointManifest | null = null;
  #committing: Promise<unknown> = Promise.resolve();
  #keepingUp: Promise<unknown> | null = null;
  readonly #keepUpTimer: NodeJS.Timeout;

  constructor(options: DriverStorageOptions) {
    this.#options = options;
    const { plan, open, durability } = options;
    const scans = plan.stages.flatMap(({ id, input }) =>
      input.kind === 'scan' ? [[input.scan.source, id as number] as const] : [],
    );
    this.#stages = new Map(scans);
    this.#sources = new Map(scans.map(([source, stage]) => [stage, source]));
    this.#term = durability.term as Term;
    this.#log = open.log.writer(driverLogName(this.#term), this.#term);
    this.#fenced = open.log.fence(this.#term);
    // Whoever waits for it is told.
    this.#fenced.catch(() => {});
    this.#keepUpTimer = setInterval(() => this.#keepUp(), keepUpMs).unref();
  }

  #keepUp(): void {
    const { log } = this.#options.open;
    if (this.#keepingUp !== null) return;
    // Whoever reads is told what is wrong.
    const kept = log.keepUp(this.#last?.batch ?? -1).catch(() => {});
    this.#keepingUp = kept.finally(() => (this.#keepingUp = null));
  }

  /**
   * Closes the logs of the dead, or of all, and of whoever wrote for a driver before and is not
   * there; then reads what there is.
   */
  async readLog(order: ReadLog): Promise<readonly KnownRanges[]> {
    const { journal, open } = this.#options;
    const former = (this.#former ??= this.#formerLogs(order));
    // Whoever waits for it is told.
    former.catch(() => {});
    // One that has stood still must not close the logs of workers that have left it.
    await journal.assertOwn();
    // A round that begins while the one before closes them waits for that, too.
    this.#closesFormer ??= former.then((names) => this.#seal(names));
    await former;
    const closed = order.closesAll ? [...order.dead, ...order.living] : order.dead;
    await Promise.all([this.#closesFormer, this.#seal(this.#namesOf(closed, order))]);
    return this.#known(await open.log.read(order.after), order.after);
  }

  async #seal(names: readonly string[]): Promise<void> {
    const { log } = this.#options.open;
    await Promise.all(names.map((name) => log.seal(name)));
  }

  #namesOf(lives: readonly WorkerLife[], { closesAll, version }: ReadLog): readonly string[] {
    const reach = closesAll ? 'all' : 'lost';
    return lives.flatMap(({ worker, incarnation }) => {
      const older = this.#olderLogs.get(lifeName({ worker, incarnation })) ?? [];
      // Before its first round a driver has published nothing that anybody could write by.
      const own = version < firstVersionOf(this.#term) ? this.#term : termOf(version);
      return [...older, logName({ term: own, worker, incarnation, version, reach })];
    });
  }

  /**
   * The logs of older terms that are to be closed, once: nobody may add to them any more but
   * workers that have come over. The fence is first, so that nobody begins behind the listing.
   */
  async #formerLogs({ closesAll, returned }: ReadLog): Promise<readonly string[]> {
    const { log } = this.#options.open;
    await this.#fenced;
    // A new worker may have the number of one that wrote for a driver before, and may live still.
    const lives = new Set(returned.map(lifeName));
    const closed: string[] = [];
    for (const name of await log.writers()) {
      const { life, term } = parseLogName(name);
      if (term === this.#term) continue;
      if (life === null || closesAll || !lives.has(life)) closed.push(name);
      else this.#olderLogs.set(life, [...(this.#olderLogs.get(life) ?? []), name]);
    }
    return closed;
  }

  /** Rejects with `fenced` when another driver has taken over. */
  journalDrain(batch: BatchNumber): Promise<void> {
    return this.#options.journal.writeDrain(batch);
  }

  /** Rejects with `fenced` when another driver has taken over. */
  journalPlacement({ version, drainAt }: JournalPlacement): Promise<void> {
    return this.#options.journal.writePlacement(version, drainAt);
  }

  /** Makes durable what only survivors knew. */
  async logRanges(known: readonly KnownRanges[]): Promise<void> {
    const records = known.flatMap(({ partition, stage, first, ranges }) =>
      ranges.map((parts, index): LoggedRange => {
        const source = this.#sources.get(stage)!;
        const record = encodeRanges(source, parts as readonly RangeRecord[]);
        return { source, partition, batch: first + index, record };
      }),
    );
    await this.#log.append(records);
  }

  /** The newest checkpoint of this run; null: none yet. */
  get last(): CheckpointManifest | null {
    return this.#last;
  }

  commit(checkpoint: CompleteCheckpoint): Promise<void> {
    const committed = this.#commit(checkpoint);
    this.#committing = committed.catch(() => {});
    return committed;
  }

  async #commit({ batch, snapshots, savepoint }: CompleteCheckpoint): Promise<void> {
    const { manifests, open } = this.#options;
    const content = checkpointContent(this.#options, { batch, snapshots });
    this.#last = await manifests.commit({ ...content, savepoint });
    const { oldestBatch } = await manifests.retain();
    // An older checkpoint is of use only together with the ranges behind it.
    if (oldestBatch !== null) await open.log.release(oldestBatch);
  }

  /** A run that has ended leaves nothing under way. */
  async close(): Promise<void> {
    clearInterval(this.#keepUpTimer);
    await Promise.all([this.#committing, this.#keepingUp]);
    await this.#log.close();
    await this.#options.open.close();
  }

  #known(logged: readonly LoggedRange[], after: BatchNumber): readonly KnownRanges[] {
    const places = new Map<string, { stage: number; partition: number; ranges: RangeRecord[][] }>();
    const first = (after + 1) as BatchNumber;
    for (const { source, partition, batch, record } of logged) {
      const stage = this.#stages.get(source as SourceId);
      const parts = decodeRanges(source as SourceId, record);
      if (stage === undefined || parts === null) throw foreign(source);
      const name = `${stage}/${partition}`;
      let place = places.get(name);
      if (place === undefined) places.set(name, (place = { stage, partition, ranges: [] }));
      // They come in ascending order; what lies behind a gap was decided by nobody.
      if (batch === first + place.ranges.length) place.ranges.push(parts);
    }
    return [...places.values()].map((place) => ({ ...place, first }));
  }
}

/** What a job's driver needs of its durable start; null: nothing is kept. */
export async function driverStorage(setup: DurableSetup): Promise<DriverStorage | null> {
  const { durable, config, plan, clock } = setup;
  const { durability } = config;
  if (durable === null || durability === null) return null;
  const open = await openDurability(durability, plan.name, () => clock.nowMs());
  const { journal, manifests } = durable;
  return new DriverStorage({ config, durability, open, plan, manifests, journal });
}

/** How the driver machine recovers; absent: it does not. */
export function recoveryOptions({ durable, config, plan }: DurableSetup): {
  readonly recovery?: RecoveryOptions;
} {
  const { durability } = config;
  if (durable === null || durability === null) return {};
  const { checkpointIntervalMs } = durability;
  const from = durable.latest === null ? null : checkpointOf(durable.latest, plan);
  const { published, drainAt } = durable.journal;
  return { recovery: { checkpointIntervalMs, from, published, drainAt } };
}

type DurableSetup = {
  readonly durable: DurableStart | null;
  readonly config: JobConfig;
  readonly plan: PhysicalPlan;
  readonly clock: RunClock;
};

/** What a manifest says of a checkpoint. */
export function checkpointContent(
  { config, plan }: Pick<DriverStorageOptions, 'config' | 'plan'>,
  { batch, snapshots }: Checkpoint,
): CheckpointContent {
  const ordered = snapshots.toSorted((a, b) => a.stage - b.stage || a.partition - b.partition);
  return {
    history: config.history,
    startMs: config.startMs,
    batch,
    planHash: plan.hash,
    structure: planStructure(plan, config.partitionCounts, config.ledgers),
    sources: plan.sources.map(({ id }) => {
      const stage = plan.stages.find(
        ({ input }) => input.kind === 'scan' && input.scan.source === id,
      );
      const own = ordered.filter((each) => each.stage === stage?.id && each.range !== null);
      return {
        source: id,
        layout: config.layouts[id] ?? null,
        partitions: own.map(({ partition, range }) => {
          const record = encodeRanges(id, [range as RangeRecord]);
          return { partition, batch, record: Buffer.from(record).toString('base64') };
        }),
      };
    }),
    state: ordered.map(({ stage, partition, snapshot }) => {
      return { stage, partition, objects: (snapshot as SnapshotHandle).objects };
    }),
    sinks: [],
    savepoint: null,
  };
}

/** Where a job goes on, by a manifest. */
export function checkpointOf(manifest: CheckpointManifest, plan: PhysicalPlan): Checkpoint {
  const ranges = new Map<string, RangeRecord>();
  for (const { source, partitions } of manifest.sources) {
    const stage = plan.stages.find(
      ({ input }) => input.kind === 'scan' && input.scan.source === source,
    );
    for (const { partition, record } of partitions) {
      const parts = decodeRanges(source as SourceId, Buffer.from(record, 'base64'));
      if (stage === undefined || parts === null) throw foreign(source);
      ranges.set(`${stage.id}/${partition}`, parts.at(-1)!);
    }
  }
  return {
    batch: manifest.batch as BatchNumber,
    snapshots: manifest.state.map(({ stage, partition, objects }): PartitionSnapshot => {
      const range = ranges.get(`${stage}/${partition}`) ?? null;
      return { stage, partition, snapshot: { objects } satisfies SnapshotHandle, range };
    }),
  };
}

function foreign(source: string): StreamError {
  return new StreamError({
    code: 'range-log-damaged',
    message: `could not understand what the range log says of source "${source}"`,
    hint: 'it was written by another plan or release of mizzle; start anew in another store',
    fields: { source },
  });
}
