// How a durable run begins: it takes the driver's lease, closes the chain of checkpoints to drivers
// before it, and finds out where to go on. The lease is renewed while the run lasts.

import { randomUUID } from 'node:crypto';
import type { OutputChoice } from '../../api/job.ts';
import { StreamError } from '../../base/stream-error.ts';
import type {
  CheckpointContent,
  CheckpointManifest,
} from '../../control/protocol/checkpoint-manifest.ts';
import type { LogicalPlan } from '../../plan/logical-plan.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import type { KafkaLogAddress } from '../../ports/kafka-address.ts';
import type { RangeLog } from '../../ports/range-log.ts';
import type { Source } from '../../ports/source.ts';
import type { ManifestWriter } from '../storage/checkpoint-store.ts';
import { CheckpointStore } from '../storage/checkpoint-store.ts';
import { hasEnded, newHolder } from './driver-holder.ts';
import { DriverJournal } from './driver-journal.ts';
import type { PipelineKeys } from '../../control/storage/pipeline-keys.ts';
import { pipelineKeys } from '../../control/storage/pipeline-keys.ts';
import type { HeldLease } from '../storage/lease.ts';
import { acquireLease } from '../storage/lease.ts';
import { openStore } from '../storage/open-store.ts';
import type { OpenDurability } from './durable-job.ts';
import { openDurability } from './durable-job.ts';
import type { KafkaLogs } from './kafka-logs.ts';
import { rememberKafkaLogs } from './kafka-logs.ts';
import type { OperatorRequests } from './operator-requests.ts';
import type { Fork, StartPoint } from './start-point.ts';
import { namedStart } from './start-point.ts';

/** Long enough for a busy machine to renew in time, short enough to wait for after a crash, ms. */
const leaseMs = 6000;

export type DurableStartOptions = {
  readonly store: string;
  readonly logical: LogicalPlan;
  readonly sources: ReadonlyMap<string, Source>;
  readonly nowMs: () => number;
  /** Begins a new history, whatever checkpoints there are. */
  readonly fresh: boolean;
  /** The checkpoint or savepoint that the user names; null: the newest. */
  readonly from: number | string | null;
  readonly output: OutputChoice | null;
  readonly isOneHost: boolean;
  /** Where ranges are logged; null: in the store, or on the host's disk. */
  readonly rangeLog: KafkaLogAddress | null;
  readonly signal: AbortSignal | undefined;
  readonly warn: (text: string) => void;
};

export class DurableStart {
  readonly store: BlobStore;
  readonly manifests: ManifestWriter;
  readonly journal: DriverJournal;
  /** It begins a new history there; null: it goes on with the one of `latest`. */
  readonly fork: Fork | null;
  /** Where everything of the pipeline lies. */
  readonly keys: PipelineKeys;
  readonly kafkaLogs: KafkaLogs;
  readonly #lease: HeldLease;
  readonly #checkpoints: CheckpointStore;
  #latest: CheckpointManifest | null;
  /** The number of a new history's first checkpoint; null: none has begun. */
  #begun: number | null = null;
  #timer: NodeJS.Timeout | null = null;

  private constructor(parts: {
    readonly store: BlobStore;
    readonly manifests: ManifestWriter;
    readonly journal: DriverJournal;
    readonly point: StartPoint;
    readonly checkpoints: CheckpointStore;
    readonly keys: PipelineKeys;
    readonly kafkaLogs: KafkaLogs;
    readonly lease: HeldLease;
  }) {
    this.store = parts.store;
    this.manifests = parts.manifests;
    this.journal = parts.journal;
    this.#latest = parts.point.latest;
    this.#checkpoints = parts.checkpoints;
    this.fork = parts.point.fork;
    this.keys = parts.keys;
    this.kafkaLogs = parts.kafkaLogs;
    this.#lease = parts.lease;
  }

  /** Waits for a driver before it to give the lease up, or to lose it. */
  static async begin(options: DurableStartOptions): Promise<DurableStart> {
    const { logical, sources, nowMs, signal, warn } = options;
    for (const { id, name } of logical.sources) {
      const source = sources.get(id)!;
      if (!source.replayable || source.replayer === undefined) {
        throw notReplayable(name, source.description);
      }
    }
    const store = await openStore(options.store);
    const holder = newHolder();
    let before: string | null = null;
    const lease = await acquireLease(store, {
      pipeline: logical.name,
      holder,
      durationMs: leaseMs,
      isGone: hasEnded,
      ...(signal === undefined ? {} : { signal }),
      onWait: (other) => {
        before = other;
        warn(`waiting for driver ${other}, which has the pipeline's lease`);
      },
    });
    try {
      if (before !== null && options.from !== null) throw notFirst(logical.name, before);
      const checkpoints = new CheckpointStore(store, { pipeline: logical.name, nowMs, warn });
      const driver = { term: lease.term, holder };
      const manifests = await checkpoints.open(driver);
      const journal = await DriverJournal.open(store, { pipeline: logical.name, ...driver });
      const keys = pipelineKeys(logical.name);
      const kafkaLogs = await rememberKafkaLogs(store, keys, options.rangeLog);
      const point = await startPoint(checkpoints, { term: lease.term, kafkaLogs }, options);
      const own = { store, manifests, journal, point, checkpoints, keys, kafkaLogs, lease };
      return new DurableStart(own);
    } catch (error) {
      await giveBack(lease);
      throw error;
    }
  }

  get term(): number {
    return this.#lease.term;
  }

  /** Where the run goes on; null: it begins with nothing. */
  get latest(): CheckpointManifest | null {
    return this.#latest;
  }

  /**
   * A new history, or a changed plan, has its first checkpoint, so one that crashes early goes on,
   * too.
   */
  async beginHistory(content: CheckpointContent): Promise<void> {
    const manifest = await this.manifests.commit(content);
    this.#begun = manifest.sequence;
    if (this.#latest !== null) this.#latest = manifest;
  }

  /** The run does not start after all: the next one goes on with the history that there was. */
  async abandon(): Promise<void> {
    // If this fails, the history goes on that could not start; the first error says why.
    await this.#takeBack().catch(() => {});
    await this.release();
  }

  async #takeBack(): Promise<void> {
    if (this.#begun === null) return;
    const former = await this.#checkpoints.latest(this.#begun);
    if (former !== null) await this.manifests.commit({ ...former, savepoint: null });
  }

  /** Renews the lease from now on; `onLost`: somebody else may drive. Then looks for requests. */
  keep(onLost: (error: unknown) => void, requests: OperatorRequests | null): void {
    this.#timer = setInterval(() => {
      // What an operator asks can wait until the store answers.
      requests?.poll().catch(() => {});
      this.#lease.renew().catch((error: unknown) => {
        const isLost = error instanceof StreamError && error.code === 'lease-lost';
        // A store that does not answer now may do so before the lease ends.
        if (isLost) onLost(error);
        else if (performance.now() > this.#lease.validUntilMs) onLost(overdue(error));
      });
    }, leaseMs / 3);
  }

  async release(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await giveBack(this.#lease);
  }
}

async function startPoint(
  checkpoints: CheckpointStore,
  { term, kafkaLogs }: { readonly term: number; readonly kafkaLogs: KafkaLogs },
  { fresh, from, output, store, logical, isOneHost, nowMs }: DurableStartOptions,
): Promise<StartPoint> {
  if (fresh) return { latest: null, fork: null };
  if (from === null) return { latest: await checkpoints.latestWhole(), fork: null };
  const opened: OpenDurability[] = [];
  const openLog = async (history: string): Promise<RangeLog> => {
    const place = { store, history, isOneHost, kafkaLogs };
    const open = await openDurability(place, logical.name, nowMs);
    opened.push(open);
    return open.log;
  };
  try {
    const start = { from, output, newHistory: randomUUID(), openLog, term };
    return await namedStart(checkpoints, start);
  } finally {
    for (const open of opened) await open.close();
  }
}

/** A start that comes to nothing must not keep the next one waiting. */
export async function orRelease<T>(
  durable: DurableStart | null,
  start: () => Promise<T>,
): Promise<T> {
  try {
    return await start();
  } catch (error) {
    await durable?.abandon();
    throw error;
  }
}

/** If it fails, the next driver waits for the lease's end. */
async function giveBack(lease: HeldLease): Promise<void> {
  await lease.release().catch(() => {});
}

/** Whoever drives next needs the hosts: they must not take it for the end of the job. */
function overdue(cause: unknown): StreamError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StreamError({
    code: 'lease-lost',
    message: `could not renew the driver's lease in time: ${why}`,
    hint: 'another driver may have taken over; this one must stop. Is the store reachable?',
    cause,
  });
}

/** Whoever stands by for a driver must not throw away what that has done. */
function notFirst(pipeline: string, before: string): StreamError {
  return new StreamError({
    code: 'driver-before',
    message: `could not start "${pipeline}" from a checkpoint: driver ${before} was there first`,
    hint: 'if it has ended, start once more; to stand by for it, leave out --from',
    fields: { pipeline, before },
  });
}

function notReplayable(name: string, description: string): StreamError {
  return new StreamError({
    code: 'source-not-replayable',
    message:
      `could not make the run durable: source "${name}" (${description}) ` + 'cannot be read again',
    hint: 'write what comes to a file or a log first and read that, or run without checkpoints',
    fields: { source: name },
  });
}
