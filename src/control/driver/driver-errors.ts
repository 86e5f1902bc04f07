// What the driver says of a savepoint that it cannot make, and of a worker that it gives up.

import type { StreamErrorData } from '../../base/stream-error.ts';
import { answerTimeoutMs } from '../limits.ts';
import type { WorkerId } from '../protocol/ids.ts';

export const endingError: StreamErrorData = {
  code: 'job-ending',
  message: 'could not make a savepoint: the job is ending',
  hint: 'the run keeps a checkpoint as of its end, from which the next one goes on',
  fields: {},
  stack: null,
};

export const notNowError: StreamErrorData = {
  code: 'savepoint-refused',
  message: 'could not make a savepoint: too many are waited for, or no checkpoints are taken',
  hint: 'wait for the others; with an endless checkpoint interval none can be made',
  fields: {},
  stack: null,
};

export function silentError(worker: WorkerId): StreamErrorData {
  return {
    code: 'worker-silent',
    message: `worker ${worker} did not say what it has`,
    hint: null,
    fields: { worker, timeoutMs: answerTimeoutMs },
    stack: null,
  };
}

export function outdatedError(worker: WorkerId): StreamErrorData {
  return {
    code: 'worker-outdated',
    message: `worker ${worker} has missed what a driver before this one had decided`,
    hint: null,
    fields: { worker },
    stack: null,
  };
}
