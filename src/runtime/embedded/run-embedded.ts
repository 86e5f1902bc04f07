// The embedded shell: the driver in the calling thread, each worker in a thread of its own with its
// own event loop. Every pair of workers has a channel; blocks are shared memory and never copied.

import process from 'node:process';
import { MessageChannel } from 'node:worker_threads';
import { unreachable } from '../../base/assert.ts';
import { StreamError, errorFromData, errorToData } from '../../base/stream-error.ts';
import type { Job, RunOptions } from '../../api/job.ts';
import type { Incarnation, Term, WorkerId } from '../../control/protocol/ids.ts';
import { decodeBatch } from '../../data/columnar/batch-codec.ts';
import { JobMonitor } from '../../observe/job-monitor.ts';
import { ClientSinks } from '../host/client-sinks.ts';
import { DriverShell } from '../host/driver-shell.ts';
import type { DriverStorage } from '../host/driver-storage.ts';
import { driverStorage, recoveryOptions } from '../host/driver-storage.ts';
import type { JobConfig } from '../host/job-config.ts';
import { planShape } from '../../control/driver/plan-shape.ts';
import { jobHandle } from '../host/job-handle.ts';
import type { JobSetup } from '../host/job-setup.ts';
import { keepCompiled } from '../host/keep-compiled.ts';
import type { FromWorkerThread, ToWorkerThread } from './thread-messages.ts';
import type { PooledThread, ThreadPool } from './thread-pool.ts';

type Thread = PooledThread & {
  readonly worker: WorkerId;
  readonly incarnation: Incarnation;
  readonly stopped: PromiseWithResolvers<void>;
};

export async function runEmbedded(
  setup: JobSetup,
  options: RunOptions,
  pool: ThreadPool,
): Promise<Job> {
  const { plan, logical, bindings, config, clock, pace, mode, partMs } = setup;
  const monitor = new JobMonitor({
    workers: setup.threads,
    startMs: config.startMs,
    intervalMs: pace.intervalMs,
    groupSize: pace.groupSize,
    mode,
    nowMs: () => clock.nowMs(),
    rssBytes: () => process.memoryUsage.rss(),
  });
  const sinks = new ClientSinks({
    plan: logical,
    sinks: bindings.sinks,
    clock,
    config,
    inputs: setup.inputs,
    newSinks: setup.newSinks,
  });
  const threads = new Threads(pool, setup);
  const first = Array.from({ length: setup.threads }, (_, worker) =>
    threads.start(worker as WorkerId, 1 as Incarnation),
  );
  let storage: DriverStorage | null;
  try {
    await sinks.prepare();
    storage = await driverStorage(setup);
    keepCompiled();
  } catch (error) {
    await threads.endAll(false);
    throw error;
  }
  const driver: DriverShell = new DriverShell({
    driver: {
      shape: planShape(plan, config.partitionCounts),
      workerCount: setup.threads,
      mode,
      partMs,
      pace,
      term: (config.durability?.term ?? 1) as Term,
      ...recoveryOptions(setup),
    },
    clock,
    monitor,
    storage,
    send: (to, message) => threads.post(to, { kind: 'driver', message }),
    onEvicted: (worker) => {
      const ended = threads.end(worker);
      // Another takes its place, and its share with the next recovery.
      if (driver.state === 'failed') return;
      const incarnation = ((ended?.incarnation ?? 0) + 1) as Incarnation;
      listen({ each: threads.start(worker, incarnation), threads, setup, driver, sinks });
    },
  });
  for (const each of first) listen({ each, threads, setup, driver, sinks });
  return jobHandle({
    setup,
    options,
    driver,
    monitor,
    sinks,
    shutDown: async (graceful) => {
      await threads.endAll(graceful);
      await storage?.close();
    },
  });
}

/** The worker threads of a run, each of which can talk to every other. */
class Threads {
  readonly #threads = new Map<WorkerId, Thread>();
  readonly #pool: ThreadPool;
  readonly #config: JobConfig;

  constructor(pool: ThreadPool, setup: JobSetup) {
    this.#pool = pool;
    this.#config = setup.config;
  }

  start(worker: WorkerId, incarnation: Incarnation): Thread {
    const stopped = Promise.withResolvers<void>();
    const pooled = this.#pool.take(worker);
    const started: Thread = { ...pooled, worker, incarnation, stopped };
    post(started, { kind: 'begin', worker, incarnation, config: this.#config });
    for (const other of this.#threads.values()) introduce(started, other);
    this.#threads.set(worker, started);
    return started;
  }

  /** Not one that was ended here: another is its worker now, or none. */
  has({ worker, thread }: Thread): boolean {
    return this.#threads.get(worker)?.thread === thread;
  }

  post(to: WorkerId, message: ToWorkerThread): void {
    this.#threads.get(to)?.thread.postMessage(message);
  }

  /** What it still says is of a life that is over. */
  end(worker: WorkerId): Thread | undefined {
    const ended = this.#threads.get(worker);
    this.#threads.delete(worker);
    ended?.stopped.resolve();
    ended?.thread.removeAllListeners('message');
    void ended?.thread.terminate();
    return ended;
  }

  async endAll(graceful: boolean): Promise<void> {
    const threads = [...this.#threads.values()];
    if (graceful) await Promise.all(threads.map(({ stopped }) => stopped.promise));
    await Promise.all(threads.map(({ thread }) => thread.terminate()));
  }
}

/** Gives two threads a channel of their own. */
function introduce(left: Thread, right: Thread): void {
  const { port1, port2 } = new MessageChannel();
  const toLeft: ToWorkerThread = { kind: 'peer', worker: right.worker, port: port1 };
  const toRight: ToWorkerThread = { kind: 'peer', worker: left.worker, port: port2 };
  left.thread.postMessage(toLeft, [port1]);
  right.thread.postMessage(toRight, [port2]);
}

function post(to: Thread, message: ToWorkerThread): void {
  to.thread.postMessage(message);
}

/** From now on the thread is a worker of the run: it joins, and its loss counts. */
function listen(options: {
  readonly each: Thread;
  readonly threads: Threads;
  readonly setup: JobSetup;
  readonly driver: DriverShell;
  readonly sinks: ClientSinks;
}): void {
  const { each, threads, setup, driver, sinks } = options;
  const { worker, incarnation, thread } = each;
  void each.ended.then((end) => {
    each.stopped.resolve();
    if (!threads.has(each)) return;
    const error = end.kind === 'failed' ? end.error : exited(worker, end.code);
    driver.step({ kind: 'worker-lost', worker, error: errorToData(error) });
  });
  // What the module prints while it loads was printed by the calling thread already.
  let loaded = false;
  thread.stdout.on('data', (text: Uint8Array) => {
    if (loaded) process.stdout.write(text);
  });
  thread.on('message', (message: FromWorkerThread) => {
    switch (message.kind) {
      case 'joined':
        loaded = true;
        driver.step({ kind: 'worker-joined', worker, incarnation, host: 0 });
        break;
      case 'driver':
        driver.step({ kind: 'message-received', from: worker, message: message.message });
        break;
      case 'commit':
        commit(message);
        break;
      case 'stopped':
        each.stopped.resolve();
        break;
      case 'failed':
        driver.fail(errorFromData(message.error));
        break;
      default:
        unreachable(message);
    }
  });

  post(each, { kind: 'join' });

  function commit(message: Extract<FromWorkerThread, { kind: 'commit' }>): void {
    const { commit: id, sink, partition, since, batch, watermarkMs } = message;
    const { schema } = setup.plan.sinks.find((spec) => spec.id === sink)!;
    const rows = decodeBatch(schema, message.rows);
    sinks.commit(sink, { partition, since }, { batch, rows, watermarkMs }).then(
      () => post(each, { kind: 'committed', commit: id, error: null }),
      (error: unknown) => post(each, { kind: 'committed', commit: id, error: errorToData(error) }),
    );
  }
}

function exited(worker: WorkerId, exitCode: number): StreamError {
  return new StreamError({
    code: 'worker-lost',
    message: `worker ${worker} ended with exit code ${exitCode}`,
    hint: 'a pipeline must not call process.exit; look for its cause in the output above',
    fields: { worker, exitCode },
  });
}
