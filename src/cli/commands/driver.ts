// `mizzle driver`: the driver of a cluster. It waits for hosts with enough workers, sends them the
// pipeline's code, and runs it until its input ends or Ctrl-C.

import process from 'node:process';
import { orRelease } from '../../runtime/host/durable-start.ts';
import { setUpJob } from '../../runtime/host/job-setup.ts';
import { runCluster } from '../../runtime/cluster/run-cluster.ts';
import { runJobInTerminal } from '../../runtime/terminal/run-in-terminal.ts';
import {
  clusterHelp,
  clusterOptions,
  endpointOption,
  logOption,
  securityOption,
  timeoutOption,
} from '../cluster-options.ts';
import { jobHelp, jobOptions, runOptions } from '../job-options.ts';
import { loadBundledPipeline } from '../load-pipeline.ts';
import { parseOptions } from '../options.ts';
import { UsageError } from '../usage-error.ts';

const help = `mizzle driver PIPELINE.ts --listen HOST:PORT --workers N [options] [-- ARGUMENTS]

Runs a pipeline on a cluster. The driver waits at HOST:PORT until hosts (\`mizzle worker\`) with N
workers in all have come, in any order and before it or after it. It bundles the pipeline's module
and all that it imports into one file, sends that to the hosts, and schedules them; rows for memory,
console and callback sinks come back to it. A host that is lost ends the run with an error that
names it. With --checkpoints the others go on without it, and a second driver stands by until the
first one's lease is free, and takes its hosts over. Ctrl-C or SIGTERM finishes what was read and
ends cleanly, hosts included: with --checkpoints windows stay open and the same command goes on
with them, otherwise they close.

The pipeline's module is imported by every worker: it must build the same pipeline every time, and
files that it reads must be there on every host.

Options:
  --listen HOST:PORT   where hosts connect; port 0 takes any that is free and says which
  --workers N          workers that the job waits for, over all hosts
  --status HOST:PORT   tell the job's status there over HTTP: \`mizzle status\`, and Prometheus at
                       /metrics; it is read by anybody who can connect
${jobHelp}
${clusterHelp}
Exit codes: 0 done, 1 failed, 2 wrong command line, 130 interrupted twice.

Example, on three machines:
  export MIZZLE_SECRET=…                                           the same on all
  mizzle driver clicks.ts --listen 10.0.0.1:4100 --workers 8 --secret-env MIZZLE_SECRET
  mizzle worker --connect 10.0.0.1:4100 --workers 4 --secret-env MIZZLE_SECRET   on two others
`;

export const driverCommand = {
  summary: 'runs a pipeline on a cluster of hosts',
  help,
  async run(argv: readonly string[]): Promise<number> {
    const commandLine = parseOptions('driver', argv, {
      ...jobOptions,
      ...clusterOptions,
      listen: { type: 'string' },
      status: { type: 'string' },
    });
    const { values, moduleArgs } = commandLine;
    const endpoint = endpointOption('listen', values['listen']);
    const options = runOptions(values);
    if (options.workers === undefined || options.workers < 1) {
      throw new UsageError('--workers is missing', 'say how many workers the job waits for');
    }
    const security = securityOption(values);
    const timeoutMs = timeoutOption(values['timeout']);
    const log = logOption(values['log']);
    const { pipeline, bundle } = await loadBundledPipeline('driver', commandLine);
    const terminal = { quiet: values['quiet'] === true };
    const summary = await runJobInTerminal(pipeline, options, terminal, async (own) => {
      const setup = await setUpJob(pipeline, own, 'plan', false);
      return orRelease(setup.durable, () =>
        runCluster(setup, own, {
          listen: endpoint,
          status:
            values['status'] === undefined ? null : endpointOption('status', values['status']),
          security,
          insecure: values['insecure'] === true,
          timeoutMs,
          mayReturn: true,
          bundle,
          argv: moduleArgs,
          log,
        }),
      );
    });
    if (values['json'] === true) process.stdout.write(`${JSON.stringify(summary)}\n`);
    return 0;
  },
};
