// How a durable run begins: it takes the driver's lease, closes the chain of checkpoints to drivers
// before it, and finds out where to go on. The lease is renewed while the run lasts.

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import process from 'node:process';
import { StreamError } from '../../base/stream-error.ts';
import type { CheckpointManifest } from '../../control/protocol/checkpoint-manifest.ts';
import type { LogicalPlan } from '../../plan/logical-plan.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import type { Source } from '../../ports/source.ts';
import type { ManifestWriter } from '../storage/checkpoint-store.ts';
import { CheckpointStore } from '../storage/checkpoint-store.ts';
import { DriverJournal } from './driver-journal.ts';
import type { HeldLease } from '../storage/lease.ts';
import { acquireLease } from '../storage/lease.ts';
import { openStore } from '../storage/open-store.ts';

/** Long enough for a busy machine to renew in time, short enough to wait for after a crash, ms. */
const leaseMs = 6000;

export type DurableStartOptions = {
  readonly store: string;
  readonly logical: LogicalPlan;
  readonly sources: ReadonlyMap<string, Source>;
  readonly nowMs: () => number;
  /** Begins a new history, whatever checkpoints there are. */
  readonly fresh: boolean;
  readonly signal: AbortSignal | undefined;
  readonly warn: (text: string) => void;
};

export class DurableStart {
  readonly store: BlobStore;
  readonly manifests: ManifestWriter;
  readonly journal: DriverJournal;
  readonly #lease: HeldLease;
  #latest: CheckpointManifest | null;
  #timer: NodeJS.Timeout | null = null;

  private constructor(parts: {
    readonly store: BlobStore;
    readonly manifests: ManifestWriter;
    readonly journal: DriverJournal;
    readonly latest: CheckpointManifest | null;
    readonly lease: HeldLease;
  }) {
    this.store = parts.store;
    this.manifests = parts.manifests;
    this.journal = parts.journal;
    this.#latest = parts.latest;
    this.#lease = parts.lease;
  }

  /** Waits for a driver before it to give the lease up, or to lose it. */
  static async begin(options: DurableStartOptions): Promise<DurableStart> {
    const { logical, sources, nowMs, fresh, signal, warn } = options;
    for (const { id, name } of logical.sources) {
      const source = sources.get(id)!;
      if (!source.replayable || source.replayer === undefined) {
        throw notReplayable(name, source.description);
      }
    }
    const store = await openStore(options.store);
    const holder = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
    const lease = await acquireLease(store, {
      pipeline: logical.name,
      holder,
      durationMs: leaseMs,
      ...(signal === undefined ? {} : { signal }),
      onWait: (other) => warn(`waiting for driver ${other}, which has the pipeline's lease`),
    });
    try {
      const checkpoints = new CheckpointStore(store, { pipeline: logical.name, nowMs, warn });
      const driver = { term: lease.term, holder };
      const manifests = await checkpoints.open(driver);
      const journal = await DriverJournal.open(store, { pipeline: logical.name, ...driver });
      const latest = fresh ? null : await checkpoints.latestWhole();
      return new DurableStart({ store, manifests, journal, latest, lease });
    } catch (error) {
      await giveBack(lease);
      throw error;
    }
  }

  /** Where the run goes on; null: it begins a history. */
  get latest(): CheckpointManifest | null {
    return this.#latest;
  }

  /** The pipeline has changed: the checkpoint is now one of its plan. */
  goOnFrom(manifest: CheckpointManifest): void {
    this.#latest = manifest;
  }

  get term(): number {
    return this.#lease.term;
  }

  /** Renews the lease from now on; `onLost`: somebody else may drive. */
  keep(onLost: (error: unknown) => void): void {
    this.#timer = setInterval(() => {
      this.#lease.renew().catch((error: unknown) => {
        const isLost = error instanceof StreamError && error.code === 'lease-lost';
        // A store that does not answer now may do so before the lease ends.
        if (isLost || performance.now() > this.#lease.validUntilMs) onLost(error);
      });
    }, leaseMs / 3);
  }

  async release(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await giveBack(this.#lease);
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
    await durable?.release();
    throw error;
  }
}

/** If it fails, the next driver waits for the lease's end. */
async function giveBack(lease: HeldLease): Promise<void> {
  await lease.release().catch(() => {});
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
