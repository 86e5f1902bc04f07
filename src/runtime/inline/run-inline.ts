// The inline shell: driver and one worker in the calling thread, for tests and small jobs. Messages
// wait in a queue for the next turn of the event loop, so that nothing calls into itself.

import process from 'node:process';
import type { Job, RunOptions } from '../../api/job.ts';
import type { Incarnation, Term, WorkerId } from '../../control/protocol/ids.ts';
import { JobMonitor } from '../../observe/job-monitor.ts';
import { ClientSinks } from '../host/client-sinks.ts';
import { DriverShell } from '../host/driver-shell.ts';
import { driverStorage, recoveryOptions } from '../host/driver-storage.ts';
import { openDurability } from '../host/durable-job.ts';
import { planShape } from '../../control/driver/plan-shape.ts';
import { jobHandle } from '../host/job-handle.ts';
import type { JobSetup } from '../host/job-setup.ts';
import { WorkerShell } from '../host/worker-shell.ts';

const worker = 0 as WorkerId;
const incarnation = 1 as Incarnation;

export async function runInline(setup: JobSetup, options: RunOptions): Promise<Job> {
  const { plan, logical, bindings, config, clock, pace, mode, partMs } = setup;
  const monitor = new JobMonitor({
    workers: 1,
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
  await sinks.prepare();
  const storage = await driverStorage(setup);
  const { durability } = config;
  const durable = durability && (await openDurability(durability, plan.name, () => clock.nowMs()));
  const turn = new TurnQueue();
  const stopped = Promise.withResolvers<void>();
  const driver = new DriverShell({
    driver: {
      shape: planShape(plan, config.partitionCounts),
      workerCount: 1,
      mode,
      partMs,
      pace,
      term: (config.durability?.term ?? 1) as Term,
      ...recoveryOptions(setup),
    },
    clock,
    monitor,
    storage,
    send: (_to, message) => turn.add(() => shell.receive('driver', message)),
    // The only worker is in the driver's own thread.
    onEvicted: (_worker, error) => driver.fail(error),
  });
  const shell = new WorkerShell({
    worker,
    incarnation,
    plan,
    bindings,
    config,
    clock,
    durable,
    send: (to, message) => {
      if (to !== 'driver') throw new Error('an inline worker has no peers');
      const answer = message as Parameters<typeof driverMessage>[0];
      turn.add(() => driver.step(driverMessage(answer)));
    },
    commitAtClient: ({ sink, output, ...to }) => sinks.commit(sink, to, output),
    onStopped: stopped.resolve,
    onLost: (error) => driver.fail(error),
    onFatal: (error) => driver.fail(error),
  });
  driver.step({ kind: 'worker-joined', worker, incarnation, host: 0 });
  return jobHandle({
    setup,
    options,
    driver,
    monitor,
    sinks,
    shutDown: (graceful) => (graceful ? stopped.promise : shell.abort()),
  });
}

function driverMessage(
  message: Extract<Parameters<DriverShell['step']>[0], { kind: 'message-received' }>['message'],
): Parameters<DriverShell['step']>[0] {
  return { kind: 'message-received', from: worker, message };
}

/** Calls made in order, in a later turn of the event loop. */
class TurnQueue {
  #calls: (() => void)[] = [];
  #scheduled = false;

  add(call: () => void): void {
    this.#calls.push(call);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const calls = this.#calls;
      this.#calls = [];
      for (const next of calls) next();
    });
  }
}
