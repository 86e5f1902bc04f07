// The entry of a host process of a local cluster. How the job ended is the driver's to say.

import process from 'node:process';
import { logTo, silent } from './log.ts';
import { runLocalHost } from './local-cluster.ts';

runLocalHost(silent).then(
  () => process.exit(0),
  (error: unknown) => {
    logTo('text')('error', error instanceof Error ? error.message : String(error));
    process.exit(1);
  },
);
