// Asks a running driver through the store that its job keeps things in, and waits for the answer.

import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { StreamError } from '../../base/stream-error.ts';
import { pipelineKeys } from '../../control/storage/pipeline-keys.ts';
import type { OperatorRequest, RequestAnswer } from '../../control/storage/request-script.ts';
import {
  fileRequest,
  requestAnswer,
  withdrawRequest,
} from '../../control/storage/request-script.ts';
import { storageError } from '../../control/storage/storage-errors.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import { runStoreScript } from './run-script.ts';

export type DriverAnswer = Extract<RequestAnswer, { kind: 'done' }>;

/** Between two looks, ms: a driver looks every two seconds. */
const lookMs = 250;

/**
 * Rejects with `no-driver`, `request-busy`, `request-unanswered` after `timeoutMs`, or what the
 * driver refuses with.
 */
export async function askDriver(
  store: BlobStore,
  asked: {
    readonly pipeline: string;
    readonly request: OperatorRequest;
    readonly timeoutMs: number;
  },
): Promise<DriverAnswer> {
  const { pipeline, request, timeoutMs } = asked;
  const keys = pipelineKeys(pipeline);
  const filed = await runStoreScript(store, fileRequest(keys, { id: randomUUID(), request }));
  const untilMs = performance.now() + timeoutMs;
  let answer: RequestAnswer | null = null;
  while (answer === null && performance.now() < untilMs) {
    await pause(lookMs);
    answer = await runStoreScript(store, requestAnswer(keys, filed));
  }
  answer ??= await runStoreScript(store, withdrawRequest(keys, filed));
  if (answer.kind === 'done') return answer;
  if (answer.kind === 'withdrawn') throw unanswered(pipeline, timeoutMs);
  const { code, message, hint } = answer;
  throw new StreamError({ code, message, ...(hint === null ? {} : { hint }) });
}

function unanswered(pipeline: string, timeoutMs: number): StreamError {
  return storageError({
    code: 'request-unanswered',
    message: `could not hear from the driver of "${pipeline}" within ${timeoutMs} ms`,
    hint: 'it may have crashed, or be about to do what was asked: see `mizzle checkpoints list`',
    fields: { pipeline, timeoutMs },
  });
}
