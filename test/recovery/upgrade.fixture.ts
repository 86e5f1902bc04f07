// A job of several versions, and how to start one of them.

import { join } from 'node:path';
import type { Process } from '../cluster/processes.fixture.ts';
import { mizzle } from '../cluster/processes.fixture.ts';
import { Feed } from './feed.fixture.ts';
import { freshPath, keeping, suspending } from './orders.fixture.ts';
import type { RecoveryJob } from './orders.fixture.ts';

export type VersionJob = {
  readonly version: 'first' | 'more' | 'named' | 'other';
  readonly feed: readonly string[];
  readonly out: string;
  readonly archive: string;
  readonly greatest: string;
  /** An order of this amount is more than the code can take. */
  readonly chokesOn: number | null;
};

export class Deployment {
  readonly feed = new Feed();
  readonly store = freshPath('.store');
  readonly #job: VersionJob;

  constructor() {
    this.#job = {
      version: 'first',
      feed: this.feed.paths,
      out: freshPath('/'),
      archive: freshPath('/'),
      greatest: freshPath('/'),
      chokesOn: null,
    };
  }

  /** A signal closes all windows. */
  start(change: Partial<VersionJob>, options?: readonly string[]): Process {
    return this.#start(change, options, keeping(this.store));
  }

  /** A signal leaves windows open, with a checkpoint as of the end. */
  startToSuspend(change: Partial<VersionJob>, options?: readonly string[]): Process {
    return this.#start(change, options, suspending(this.store));
  }

  #start(
    change: Partial<VersionJob>,
    options: readonly string[] = ['--workers', '2'],
    kept: readonly string[],
  ): Process {
    const job = JSON.stringify({ ...this.#job, ...change });
    return mizzle(['run', versions, '--quiet', ...options, ...kept, '--', job]);
  }

  get job(): RecoveryJob {
    return { out: this.#job.out, from: { growing: this.feed.paths } };
  }

  /** All orders as they came. */
  get archive(): RecoveryJob {
    return { ...this.job, out: this.#job.archive, aggregate: 'none' };
  }
}

const versions = join(import.meta.dirname, 'versions.fixture.ts');
