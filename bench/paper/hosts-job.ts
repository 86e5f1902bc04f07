// A job on host processes of this machine that a figure may kill: which processes they are, and
// when the driver has missed one.

import type { Job, Pipeline, RunOptions } from '../../src/index.ts';
import type { JobBundle } from '../../src/runtime/cluster/bundle-job.ts';
import { runLocalCluster } from '../../src/runtime/cluster/local-cluster.ts';
import { orRelease } from '../../src/runtime/host/durable-start.ts';
import type { JobSetup } from '../../src/runtime/host/job-setup.ts';
import { setUpJob } from '../../src/runtime/host/job-setup.ts';

export type HostsJob = {
  readonly options: RunOptions;
  readonly hosts: number;
  readonly bundle: JobBundle;
  /** What the hosts' module gets as its argument. */
  readonly argument: unknown;
  readonly onHost: (pid: number) => void;
  readonly onLost?: () => void;
};

/** One worker a host. */
export async function startOnHosts(
  pipeline: Pipeline,
  { options, hosts, bundle, argument, onHost, onLost }: HostsJob,
): Promise<{ readonly running: Job; readonly config: JobSetup['config'] }> {
  const setup = await setUpJob(pipeline, options, 'structure');
  const running = await orRelease(setup.durable, () =>
    runLocalCluster(setup, options, {
      hosts,
      workersPerHost: 1,
      bundle,
      argv: [JSON.stringify(argument)],
      log: (_level, message) => {
        const pid = /^host "[^"]*-(\d+)-[0-9a-f]+" .* (?:joined|came)$/.exec(message)?.[1];
        if (pid !== undefined) onHost(Number(pid));
        if (message.startsWith('lost host')) onLost?.();
      },
    }),
  );
  return { running, config: setup.config };
}

/** Events taken, by partition of the only source. */
export function takenOf(
  offsets: readonly { readonly partition: number; readonly to: number }[],
): readonly number[] {
  return offsets.toSorted((a, b) => a.partition - b.partition).map(({ to }) => to);
}
