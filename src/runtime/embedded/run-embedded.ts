// The embedded shell: the driver in the calling thread, each worker in a thread of its own with its
// own event loop. Every pair of workers has a channel; blocks are shared memory and never copied.

import process from 'node:process';
import { MessageChannel, Worker } from 'node:worker_threads';
import { unreachable } from '../../base/assert.ts';
import { StreamError, errorFromData, errorToData } from '../../base/stream-error.ts';
import type { Job, RunOptions } from '../../api/job.ts';
import type { Incarnation, Term, WorkerId } from '../../control/protocol/ids.ts';
import { decodeBatch } from '../../data/columnar/batch-codec.ts';
import { JobMonitor } from '../../observe/job-monitor.ts';
import { ClientSinks } from '../host/client-sinks.ts';
import { DriverShell } from '../host/driver-shell.ts';
import { planShape } from '../../control/driver/plan-shape.ts';
import { jobHandle } from '../host/job-handle.ts';
import { jobModule } from '../host/job-module.ts';
import type { JobSetup } from '../host/job-setup.ts';
import { newRun } from '../host/sink-writers.ts';
import type { FromWorkerThread, ThreadData, ToWorkerThread } from './thread-messages.ts';

/** Neither type stripping nor a bundler rewrites this name, so it follows the file it stands in. */
const entry = new URL(
  import.meta.url.endsWith('.ts') ? './worker-thread.ts' : './worker-thread.js',
  import.meta.url,
);

type Thread = {
  readonly worker: WorkerId;
  readonly thread: Worker;
  readonly stopped: PromiseWithResolvers<void>;
};

export async function runEmbedded(setup: JobSetup, options: RunOptions): Promise<Job> {
  const { plan, logical, bindings, config, clock, pace, mode, partMs } = setup;
  const module = jobModule(options);
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
    run: newRun({ pipeline: logical.name, history: config.history, incarnation: 1 }),
    inputs: setup.inputs,
  });
  await sinks.prepare();
  const driver = new DriverShell({
    driver: {
      shape: planShape(plan, config.partitionCounts),
      workerCount: setup.threads,
      mode,
      partMs,
      pace,
      term: 1 as Term,
    },
    clock,
    monitor,
    send: (to, message) => post(threads[to]!, { kind: 'driver', message }),
  });
  const threads = startThreads({ count: setup.threads, module, setup });
  for (const each of threads) listen({ each, setup, driver, sinks });
  return jobHandle({
    setup,
    options,
    driver,
    monitor,
    sinks,
    shutDown: async (graceful) => {
      if (graceful) await Promise.all(threads.map(({ stopped }) => stopped.promise));
      await Promise.all(threads.map(({ thread }) => thread.terminate()));
    },
  });
}

function startThreads(options: {
  readonly count: number;
  readonly module: string;
  readonly setup: JobSetup;
}): readonly Thread[] {
  const { count, module, setup } = options;
  const threads = Array.from({ length: count }, (_, index): Thread => {
    const worker = index as WorkerId;
    const data: ThreadData = {
      worker,
      incarnation: 1 as Incarnation,
      module,
      config: setup.config,
    };
    const thread = new Worker(entry, {
      workerData: data,
      argv: process.argv.slice(2),
      name: `mizzle-${index}`,
      stdout: true,
    });
    return { worker, thread, stopped: Promise.withResolvers<void>() };
  });
  for (const left of threads) {
    for (const right of threads) {
      if (left.worker >= right.worker) continue;
      const { port1, port2 } = new MessageChannel();
      left.thread.postMessage(
        { kind: 'peer', worker: right.worker, port: port1 } satisfies ToWorkerThread,
        [port1],
      );
      right.thread.postMessage(
        { kind: 'peer', worker: left.worker, port: port2 } satisfies ToWorkerThread,
        [port2],
      );
    }
  }
  return threads;
}

function post(to: Thread, message: ToWorkerThread): void {
  to.thread.postMessage(message);
}

function listen(options: {
  readonly each: Thread;
  readonly setup: JobSetup;
  readonly driver: DriverShell;
  readonly sinks: ClientSinks;
}): void {
  const { each, setup, driver, sinks } = options;
  const { worker, thread } = each;
  const lost = (error: unknown): void => {
    each.stopped.resolve();
    driver.step({ kind: 'worker-lost', worker, error: errorToData(error) });
  };
  thread.on('error', lost);
  thread.on('exit', (code) => {
    lost(
      new StreamError({
        code: 'worker-lost',
        message: `worker ${worker} ended with exit code ${code}`,
        hint: 'a pipeline must not call process.exit; look for its cause in the output above',
        fields: { worker, exitCode: code },
      }),
    );
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
        driver.step({ kind: 'worker-joined', worker, incarnation: 1 as Incarnation });
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

  function commit(message: Extract<FromWorkerThread, { kind: 'commit' }>): void {
    const { commit: id, sink, partition, batch, watermarkMs } = message;
    const { schema } = setup.plan.sinks.find((spec) => spec.id === sink)!;
    const rows = decodeBatch(schema, message.rows);
    sinks.commit(sink, partition, { batch, rows, watermarkMs }).then(
      () => post(each, { kind: 'committed', commit: id, error: null }),
      (error: unknown) => post(each, { kind: 'committed', commit: id, error: errorToData(error) }),
    );
  }
}
