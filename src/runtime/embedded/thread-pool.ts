// Worker threads that are started before anybody knows what they will do: they load the engine and
// the job's module while the driver still plans the run, and say nothing until they begin.

import process from 'node:process';
import { Worker } from 'node:worker_threads';
import { engineFile } from '../host/engine-files.ts';
import { workerHeap } from '../host/worker-heap.ts';
import type { ThreadData } from './thread-messages.ts';

export type PooledThread = {
  readonly thread: Worker;
  /** Resolves when the thread has failed or ended, whenever that was; with why. */
  readonly ended: Promise<ThreadEnd>;
};

export type ThreadEnd =
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'exited'; readonly code: number };

export class ThreadPool {
  readonly #module: string;
  readonly #waiting: PooledThread[];

  /** `module`: URL of the job's. */
  constructor(module: string, count: number) {
    this.#module = module;
    this.#waiting = Array.from({ length: count }, (_, worker) => this.#start(worker));
  }

  /** One that has been waiting, in the order of workers, or a new one. */
  take(worker: number): PooledThread {
    return this.#waiting.shift() ?? this.#start(worker);
  }

  /** Ends those that nobody has taken. */
  async end(): Promise<void> {
    await Promise.all(this.#waiting.splice(0).map(({ thread }) => thread.terminate()));
  }

  #start(worker: number): PooledThread {
    const thread = new Worker(engineFile('embedded-thread'), {
      workerData: { module: this.#module } satisfies ThreadData,
      argv: process.argv.slice(2),
      name: `mizzle-${worker}`,
      stdout: true,
      resourceLimits: workerHeap,
    });
    const ended = new Promise<ThreadEnd>((resolve) => {
      thread.on('error', (error) => resolve({ kind: 'failed', error }));
      thread.on('exit', (code) => resolve({ kind: 'exited', code }));
    });
    return { thread, ended };
  }
}
