// The worker threads of a host: starts them, connects those of the same host with each other, and
// passes frames between them and the sockets without a look inside.

import { MessageChannel, Worker } from 'node:worker_threads';
import { unreachable } from '../../base/assert.ts';
import { errorFromData, StreamError } from '../../base/stream-error.ts';
import type { Incarnation, WorkerId } from '../../control/protocol/ids.ts';
import { engineFile } from '../host/engine-files.ts';
import { workerHeap } from '../host/worker-heap.ts';
import type { JobConfig } from '../host/job-config.ts';
import type { FromHostThread, ThreadData, ToHostThread } from './thread-messages.ts';

export type HostThreadsOptions = {
  readonly firstWorker: WorkerId;
  readonly count: number;
  readonly incarnation: Incarnation;
  readonly module: string;
  readonly config: JobConfig;
  readonly argv: readonly string[];
  readonly send: (to: WorkerId | 'driver', frame: readonly Uint8Array[]) => void;
  readonly onJoined: (worker: WorkerId) => void;
  readonly onClosed: (worker: WorkerId) => void;
  readonly onFailed: (worker: WorkerId, error: StreamError) => void;
};

export class HostThreads {
  readonly #options: HostThreadsOptions;
  readonly #threads = new Map<WorkerId, Worker>();
  /** Frames of this turn, by thread: they are handed over together. */
  readonly #arrived = new Map<WorkerId, Uint8Array[]>();
  #ending = false;

  constructor(options: HostThreadsOptions) {
    this.#options = options;
    for (let index = 0; index < options.count; index++) this.#start(index);
    this.#introduce();
  }

  has(worker: WorkerId): boolean {
    return this.#threads.has(worker);
  }

  /** Keeps the frame until `deliver`. */
  add(worker: WorkerId, frame: Uint8Array): void {
    const frames = this.#arrived.get(worker);
    if (frames === undefined) this.#arrived.set(worker, [frame]);
    else frames.push(frame);
  }

  deliver(): void {
    for (const [worker, frames] of this.#arrived) this.#post(worker, { kind: 'frames', frames });
    this.#arrived.clear();
  }

  correctClock(byMs: number): void {
    for (const worker of this.#threads.keys()) this.#post(worker, { kind: 'clock', byMs });
  }

  /** Another driver is there: whoever waits for an answer asks again. */
  driverChanged(): void {
    for (const worker of this.#threads.keys()) this.#post(worker, { kind: 'driver-changed' });
  }

  async end(): Promise<void> {
    this.#ending = true;
    await Promise.all([...this.#threads.values()].map((thread) => thread.terminate()));
  }

  #start(index: number): void {
    const { firstWorker, incarnation, module, config, argv } = this.#options;
    const worker = (firstWorker + index) as WorkerId;
    const data: ThreadData = { worker, incarnation, module, config };
    const thread = new Worker(engineFile('host-thread'), {
      workerData: data,
      argv: [...argv],
      name: `mizzle-${worker}`,
      resourceLimits: workerHeap,
    });
    this.#threads.set(worker, thread);
    const { onFailed } = this.#options;
    thread.on('message', (message: FromHostThread) => this.#onMessage(worker, message));
    thread.on('error', (error: unknown) => {
      if (!this.#ending) onFailed(worker, ended(worker, `failed: ${String(error)}`, error));
    });
    thread.on('exit', (code) => {
      if (!this.#ending) onFailed(worker, ended(worker, `ended with exit code ${code}`, undefined));
    });
  }

  #onMessage(worker: WorkerId, message: FromHostThread): void {
    const { send, onJoined, onClosed, onFailed } = this.#options;
    switch (message.kind) {
      case 'send':
        return send(message.to, message.frame);
      case 'joined':
        return onJoined(worker);
      case 'closed':
        return onClosed(worker);
      case 'failed':
        return onFailed(worker, errorFromData(message.error));
      default:
        unreachable(message);
    }
  }

  /** Every two threads of the host get a channel. */
  #introduce(): void {
    const workers = [...this.#threads.keys()];
    for (const left of workers) {
      for (const right of workers) {
        if (left >= right) continue;
        const { port1, port2 } = new MessageChannel();
        this.#give(left, right, port1);
        this.#give(right, left, port2);
      }
    }
  }

  #give(to: WorkerId, worker: WorkerId, port: MessageChannel['port1']): void {
    const message: ToHostThread = { kind: 'neighbour', worker, port };
    this.#threads.get(to)!.postMessage(message, [port]);
  }

  #post(worker: WorkerId, message: ToHostThread): void {
    this.#threads.get(worker)?.postMessage(message);
  }
}

function ended(worker: WorkerId, how: string, cause: unknown): StreamError {
  return new StreamError({
    code: 'worker-lost',
    message: `worker ${worker} ${how}`,
    hint: 'a pipeline must not call process.exit; look for its cause in the output of that host',
    fields: { worker },
    ...(cause === undefined ? {} : { cause }),
  });
}
