// The driver's lease over a real store: waits until it may be tried, takes it, renews it. The
// protocol is in `control/storage/lease-script.ts`.

import { setTimeout as pause } from 'node:timers/promises';
import type { SeenLease } from '../../control/storage/lease-script.ts';
import {
  LeaseWatch,
  readLease,
  releaseLease,
  renewLease,
  takeLease,
} from '../../control/storage/lease-script.ts';
import { pipelineKeys } from '../../control/storage/pipeline-keys.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import { runStoreScript } from './run-script.ts';

export type LeaseOptions = {
  readonly pipeline: string;
  /** Who drives, unique to one life of one process: host, process id, something random. */
  readonly holder: string;
  readonly durationMs: number;
  readonly signal?: AbortSignal;
  /** Whether a holder is known to have ended: then nobody need wait for its lease. */
  readonly isGone?: (holder: string) => boolean;
  /** Called when somebody else holds it, once for each holder. */
  readonly onWait?: (holder: string, term: number) => void;
};

export class HeldLease {
  readonly #store: BlobStore;
  readonly #key: string;
  #held: SeenLease;
  #validUntilMs: number;
  /** Renewals that have not ended. */
  #renewing: Promise<unknown> = Promise.resolve();

  constructor(store: BlobStore, key: string, held: SeenLease, takenMs: number) {
    this.#store = store;
    this.#key = key;
    this.#held = held;
    this.#validUntilMs = takenMs + held.lease.durationMs;
  }

  get term(): number {
    return this.#held.lease.term;
  }

  /**
   * By `performance.now()`: from then on somebody else may have it. Counted from before the request
   * was sent, so never later than others count.
   */
  get validUntilMs(): number {
    return this.#validUntilMs;
  }

  /** A third of the duration is a good time between two. Rejects with `lease-lost`. */
  renew(): Promise<void> {
    const renewed = this.#renew();
    this.#renewing = Promise.allSettled([this.#renewing, renewed]);
    return renewed;
  }

  async #renew(): Promise<void> {
    const sentMs = performance.now();
    this.#held = await runStoreScript(this.#store, renewLease(this.#key, this.#held));
    this.#validUntilMs = sentMs + this.#held.lease.durationMs;
  }

  /** Lets the next driver start at once. */
  async release(): Promise<void> {
    // One that is under way would take the lease back, and the next driver would wait.
    await this.#renewing;
    this.#validUntilMs = -Infinity;
    await runStoreScript(this.#store, releaseLease(this.#key, this.#held));
  }
}

/**
 * Takes the lease as soon as nobody else has it: at once if there is none, or it was given back, or
 * its holder is gone,
 * otherwise when it has not changed for its own duration, by this process's clock.
 */
export async function acquireLease(store: BlobStore, options: LeaseOptions): Promise<HeldLease> {
  const { holder, durationMs, signal, onWait } = options;
  const key = pipelineKeys(options.pipeline).lease;
  const watch = new LeaseWatch();
  let waitedFor: string | null = null;
  for (;;) {
    signal?.throwIfAborted();
    const seen = await runStoreScript(store, readLease(key));
    const isGone = seen !== null && options.isGone?.(seen.lease.holder) === true;
    const waitMs = isGone ? 0 : watch.observe(performance.now(), seen);
    if (waitMs === 0) {
      const sentMs = performance.now();
      const taken = await runStoreScript(store, takeLease(key, seen, { holder, durationMs }));
      if (taken !== null) return new HeldLease(store, key, taken, sentMs);
      continue;
    }
    if (seen !== null && seen.lease.holder !== waitedFor) {
      waitedFor = seen.lease.holder;
      onWait?.(seen.lease.holder, seen.lease.term);
    }
    const pauseMs = Math.min(waitMs, Math.max(20, durationMs / 5));
    await pause(pauseMs, undefined, signal === undefined ? {} : { signal });
  }
}
