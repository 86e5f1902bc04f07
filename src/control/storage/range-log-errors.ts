// What all range logs say alike.

import type { AppendQueueOptions } from '../../base/append-queue.ts';
import type { StreamError } from '../../base/stream-error.ts';
import type { LoggedRange } from '../../ports/range-log.ts';
import { isFenced, storageError } from './storage-errors.ts';

/** How a writer of a range log queues what it appends; `write` is its own. */
export function appendsOf(
  writer: string,
  write: AppendQueueOptions<LoggedRange>['write'],
): AppendQueueOptions<LoggedRange> {
  const closed = (): StreamError =>
    storageError({
      code: 'store-failed',
      message: `could not append to the range log as "${writer}": it is closed`,
      hint: 'append before it is closed',
      fields: { writer },
    });
  return { write, isFinal: isFenced, closed };
}

export function logFenced(writer: string): StreamError {
  return storageError({
    code: 'fenced',
    message: `could not append to the range log as "${writer}": the driver has sealed it`,
    hint: 'this worker was declared dead; it must stop',
    fields: { writer },
  });
}
