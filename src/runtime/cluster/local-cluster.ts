// A cluster on this machine, for trial: the driver here, hosts as processes of their own, with a
// secret that only they know. They end with the job, or when this process does.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { RunOptions } from '../../api/job.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { StreamErrorData } from '../../base/stream-error.ts';
import { engineFile } from '../host/engine-files.ts';
import type { JobSetup } from '../host/job-setup.ts';
import type { JobBundle } from './bundle-job.ts';
import type { Log } from './log.ts';
import type { ClusterJob } from './run-cluster.ts';
import { runCluster } from './run-cluster.ts';
import { runHost } from './host.ts';

export type LocalClusterOptions = {
  readonly hosts: number;
  readonly workersPerHost: number;
  readonly bundle: JobBundle;
  readonly argv: readonly string[];
  readonly log: Log;
};

/** What a host process is told by its environment, where other users cannot see it. */
const variable = 'MIZZLE_LOCAL_HOST';

type LocalHost = {
  readonly port: number;
  readonly workers: number;
  readonly secret: string;
};

const address = '127.0.0.1';
const timeoutMs = 10_000;

/** From the loss of a host until another takes its place, ms. */
const restartMs = 1_000;

export async function runLocalCluster(
  setup: JobSetup,
  options: RunOptions,
  local: LocalClusterOptions,
): Promise<ClusterJob> {
  const secret = randomBytes(32).toString('hex');
  let port = 0;
  const job = await runCluster(setup, options, {
    listen: { host: address, port: 0 },
    status: null,
    security: { secret, tls: null },
    insecure: false,
    timeoutMs,
    mayReturn: false,
    bundle: local.bundle,
    argv: local.argv,
    log: local.log,
    onListening: (own) => (port = own),
  });
  const living = new Set<ChildProcess>();
  const start = (): ChildProcess => {
    const host = startHost({ port, workers: local.workersPerHost, secret });
    living.add(host);
    host.on('exit', () => living.delete(host));
    return host;
  };
  for (let count = 0; count < local.hosts; count++) {
    if (setup.durable === null) watch(start(), job);
    else keepAlive(start(), job);
  }
  // One that has only just started would look for the driver in vain.
  const endAll = (): void => {
    for (const host of living) host.kill();
  };
  job.done.then(endAll, endAll);
  return job;

  /** A durable run goes on without a host that is lost, and another takes its place. */
  function keepAlive(host: ChildProcess, of: ClusterJob): void {
    host.on('exit', (code) => {
      if (code === 0 || isOver(of)) return;
      // Those that are left recover first; and one that cannot live is not started all the time.
      const timer = setTimeout(() => {
        if (!isOver(of)) keepAlive(start(), of);
      }, restartMs);
      timer.unref();
    });
  }
}

function isOver(job: ClusterJob): boolean {
  const { state } = job.status();
  return state === 'finished' || state === 'failed';
}

/** In a session of its own: an interrupt at the terminal is for the driver, which drains. */
function startHost(host: LocalHost): ChildProcess {
  const entry = fileURLToPath(engineFile('local-host'));
  // Two processes cannot be debugged at one port.
  const flags = process.execArgv.filter((flag) => !flag.startsWith('--inspect'));
  return spawn(process.execPath, [...flags, entry], {
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, [variable]: JSON.stringify(host) },
  });
}

function watch(host: ChildProcess, job: ClusterJob): void {
  const lost = (how: string): void => {
    job.fail(
      new StreamError({
        code: 'host-lost',
        message: `host process ${host.pid} ${how}`,
        hint: 'look for its cause in the output above',
        fields: { peer: `process ${host.pid}` },
      }),
    );
  };
  host.on('error', (error) => lost(`could not start: ${error.message}`));
  host.on('exit', (code, signal) => {
    if (code !== 0) lost(signal === null ? `ended with exit code ${code}` : `got ${signal}`);
  });
}

/**
 * The whole life of a host process that `runLocalCluster` started. Resolves with the error that it
 * was ended with, if it was.
 */
export async function runLocalHost(log: Log): Promise<StreamErrorData | null> {
  const text = process.env[variable];
  if (text === undefined) throw new Error(`${variable} is missing`);
  const { port, workers, secret } = JSON.parse(text) as LocalHost;
  delete process.env[variable];
  return runHost({
    connect: [{ host: address, port }],
    workers,
    security: { secret, tls: null },
    insecure: false,
    listen: null,
    timeoutMs,
    waitMs: timeoutMs,
    // The driver is this machine's, and so is whoever started it.
    returnMs: 0,
    cacheFolder: null,
    log,
  });
}
