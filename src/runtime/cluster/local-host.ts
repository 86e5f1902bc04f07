// The entry of a host process of a local cluster. How the job ended is the driver's to say.

import process from 'node:process';
import { logTo, silent } from './log.ts';
import { runLocalHost } from './local-cluster.ts';

runLocalHost(silent).then(
  // One that was given up while the job goes on is to be replaced.
  (error) => process.exit(error === null ? 0 : 1),
  (error: unknown) => {
    logTo('text')('error', error instanceof Error ? error.message : String(error));
    process.exit(1);
  },
);
