// `mizzle worker`: one host of a cluster, with a number of worker threads.

import { availableParallelism } from 'node:os';
import { errorFromData } from '../../base/stream-error.ts';
import { runHost } from '../../runtime/cluster/host.ts';
import { wholeNumber } from '../../runtime/host/job-setup.ts';
import {
  clusterHelp,
  clusterOptions,
  durationOption,
  endpointOption,
  endpointsOption,
  logOption,
  securityOption,
  timeoutOption,
} from '../cluster-options.ts';
import { numberOption, parseOptions } from '../options.ts';
import { UsageError } from '../usage-error.ts';

const help = `mizzle worker --connect HOST:PORT [options]

Offers worker threads to the driver at HOST:PORT (\`mizzle driver\`), which may come later. The host
gets the pipeline's code from the driver, keeps it in a cache folder by its hash, runs its share of
the tasks, and ends with the job. All hosts connect to each other. When the driver of a run with
checkpoints is lost, workers keep what they have and go on with the next driver.

Options:
  --connect HOST:PORT  where the driver listens, or will; several, separated by commas, where a
                       standby may take over
  --workers N          worker threads (default: one for each processor)
  --listen HOST:PORT   where other hosts reach this one (default: a free port at the address from
                       which the driver is reached)
  --wait TIME          how long to wait for the driver, or in a run with checkpoints for the next
                       one when it is lost; workers go on meanwhile (default 5m)
  --cache FOLDER       where job code is kept (default: mizzle/code in the user's cache folder)

${clusterHelp}
Exit codes: 0 the job is done, 1 it failed or the driver was lost, 2 wrong command line.

Example:
  mizzle worker --connect 10.0.0.1:4100 --workers 4 --secret-env MIZZLE_SECRET
`;

const waitMs = 5 * 60_000;

export const workerCommand = {
  summary: 'offers worker threads to the driver of a cluster',
  help,
  async run(argv: readonly string[]): Promise<number> {
    const { values, files } = parseOptions('worker', argv, {
      ...clusterOptions,
      connect: { type: 'string' },
      workers: { type: 'string' },
      listen: { type: 'string' },
      wait: { type: 'string' },
      cache: { type: 'string' },
    });
    if (files.length > 0) {
      throw new UsageError(
        `a worker takes no file, but "${files[0]}" was given`,
        'the driver has the pipeline and sends it',
      );
    }
    const workers = numberOption('workers', values['workers']) ?? availableParallelism();
    const log = logOption(values['log']);
    const error = await runHost({
      connect: endpointsOption('connect', values['connect']),
      workers: wholeNumber('workers', workers, [1, 1024]),
      security: securityOption(values),
      insecure: values['insecure'] === true,
      listen: values['listen'] === undefined ? null : endpointOption('listen', values['listen']),
      timeoutMs: timeoutOption(values['timeout']),
      waitMs: durationOption('wait', values['wait']) ?? waitMs,
      returnMs: durationOption('wait', values['wait']) ?? waitMs,
      cacheFolder: typeof values['cache'] === 'string' ? values['cache'] : null,
      log,
    });
    if (error === null) {
      log('info', 'the job is done');
      return 0;
    }
    throw errorFromData({ ...error, message: `the driver ended the job: ${error.message}` });
  },
};
