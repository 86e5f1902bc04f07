// The driver of a cluster: the driver shell, sinks of the client and a status server in one
// process, and hosts that come over the network.

import process from 'node:process';
import type { Job, RunOptions } from '../../api/job.ts';
import { StreamError } from '../../base/stream-error.ts';
import { planShape } from '../../control/driver/plan-shape.ts';
import type { Term } from '../../control/protocol/ids.ts';
import { JobMonitor } from '../../observe/job-monitor.ts';
import { ClientSinks } from '../host/client-sinks.ts';
import { DriverShell } from '../host/driver-shell.ts';
import { driverStorage, recoveryOptions } from '../host/driver-storage.ts';
import { jobHandle } from '../host/job-handle.ts';
import type { JobSetup } from '../host/job-setup.ts';
import { keepCompiled } from '../host/keep-compiled.ts';
import type { ClusterOptions } from './cluster-options.ts';
import { DriverHosts } from './driver-hosts.ts';
import { exposure } from './security.ts';
import { serveStatus } from './status-server.ts';

/** A running job, and a way to report what the cluster cannot see itself. */
export type ClusterJob = Job & { fail(error: StreamError): void };

/** Resolves when hosts may come; the job starts when there are `setup.threads` workers. */
export async function runCluster(
  setup: JobSetup,
  options: RunOptions,
  cluster: ClusterOptions,
): Promise<ClusterJob> {
  const exposed = exposure(cluster.listen.host, cluster.security, cluster.insecure);
  if (exposed !== null) throw exposed;
  const { plan, logical, bindings, config, clock, pace, mode, partMs } = setup;
  for (const [id, source] of bindings.sources) {
    if (source.location === 'client') throw notShared(id, source.description);
  }
  const monitor = new JobMonitor({
    workers: setup.threads,
    startMs: config.startMs,
    intervalMs: pace.intervalMs,
    groupSize: pace.groupSize,
    nowMs: () => clock.nowMs(),
    rssBytes: () => process.memoryUsage.rss(),
    mode,
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
  keepCompiled();
  const driver = new DriverShell({
    driver: {
      shape: planShape(plan, config.partitionCounts),
      workerCount: setup.threads,
      pace,
      mode,
      partMs,
      term: (config.durability?.term ?? 1) as Term,
      ...recoveryOptions(setup),
    },
    clock,
    monitor,
    storage,
    send: (to, message) => hosts.send(to, message),
    onEvicted: (worker, error) => hosts.evicted(worker, error),
  });
  const hosts = new DriverHosts({ setup, cluster, driver, monitor, sinks });
  const status =
    cluster.status === null
      ? null
      : await serveStatus(cluster.status, () => ({
          name: logical.name,
          ...monitor.status(),
          hosts: hosts.status(),
        }));
  if (status !== null) cluster.log('info', `status at port ${status.port}`);
  try {
    await hosts.listen();
  } catch (error) {
    status?.close();
    throw error;
  }
  driver.ended.catch((error: unknown) => hosts.failedWith(error));
  const job = jobHandle({
    setup,
    options,
    driver,
    monitor,
    sinks,
    shutDown: async (graceful) => {
      await hosts.shutDown(graceful);
      await storage?.close();
      status?.close();
    },
  });
  return { ...job, fail: (error) => driver.fail(error) };
}

function notShared(id: string, description: string): StreamError {
  return new StreamError({
    code: 'source-not-shared',
    message: `could not read source "${id}" (${description}) on a cluster: only this process can`,
    hint: 'let hosts read it from files that all of them have, or run without hosts',
    fields: { source: id },
  });
}
