// What an S3-compatible store refuses, and what keeps it from answering, as errors with a remedy.
// Nothing of a request but its key is told: headers hold signatures.

import { StreamError } from '../../base/stream-error.ts';
import type { StorageErrorCode } from '../../control/storage/storage-errors.ts';
import { storageError } from '../../control/storage/storage-errors.ts';
import { fieldOf } from './s3-listing.ts';
import type { S3Location } from './s3-store.ts';

export type S3Failure = {
  readonly status: number;
  /** The store's own: `NoSuchBucket`; empty where it gives none. */
  readonly code: string;
  readonly message: string;
};

/** The store has answered, and not as hoped. */
export class S3Refusal extends Error {
  override name = 'S3Refusal';
  readonly failure: S3Failure;

  constructor(failure: S3Failure) {
    super(failure.code === '' ? `status ${failure.status}` : failure.code);
    this.failure = failure;
  }
}

export async function s3Failure(response: Response): Promise<S3Failure> {
  const body = await response.text();
  return {
    status: response.status,
    code: fieldOf(body, 'Code') ?? '',
    message: fieldOf(body, 'Message') ?? '',
  };
}

const transientCodes = ['SlowDown', 'RequestTimeout', 'OperationAborted', 'InternalError'];

/** Worth another try: faults of the network, overload, writers in each other's way. */
export function isTransientFailure(error: unknown): boolean {
  if (error instanceof S3Refusal) {
    const { status, code } = error.failure;
    // 409: a conditional write met another one under way; 507: the disk is full.
    const isPassing = status === 408 || status === 409 || status === 429 || status >= 500;
    return transientCodes.includes(code) || (isPassing && status !== 507 && status !== 501);
  }
  return !(error instanceof StreamError) && isNetworkError(error);
}

/** What `fetch` says when a connection ends in the middle of a body. */
const cutOff = 'terminated';

/** `fetch` rejects with a TypeError whose cause is the system's error, or with a time-out. */
function isNetworkError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return true;
  return error instanceof TypeError && (error.cause instanceof Error || error.message === cutOff);
}

export function s3Error(
  error: unknown,
  request: {
    readonly what: string;
    readonly key: string;
    readonly location: S3Location;
    readonly store: string;
  },
): StreamError {
  if (error instanceof StreamError) return error;
  const { what, key, location, store } = request;
  const message = `could not ${what} "${key}" in "${store}"`;
  const endpoint = location.endpoint ?? `region ${location.region}`;
  if (!(error instanceof S3Refusal)) {
    if (!isNetworkError(error)) throw error;
    const reason = reasonOf(error as Error);
    return storageError({
      code: 'store-unreachable',
      message: `${message}: ${reason}`,
      hint: `is the object store up, and the endpoint right (${endpoint})?`,
      fields: { store, key, endpoint, reason },
      cause: error,
    });
  }
  const { failure } = error;
  const { code, hint } = classOf(failure, location);
  const said = failure.message === '' ? '' : ` (${failure.message})`;
  return storageError({
    code,
    message: `${message}: ${error.message}${said}`,
    hint,
    fields: { store, key, endpoint, status: failure.status, reason: failure.code },
    cause: error,
  });
}

function classOf(
  { status, code }: S3Failure,
  location: S3Location,
): { readonly code: StorageErrorCode; readonly hint: string } {
  if (code === 'NoSuchBucket' || status === 404) {
    return {
      code: 'store-not-found',
      hint: `create the bucket "${location.bucket}", or name another`,
    };
  }
  if (code === 'RequestTimeTooSkewed') {
    return { code: 'store-denied', hint: "set this machine's clock" };
  }
  if (status === 401 || status === 403) {
    const hint = 'check the keys in the environment, and what they may do with the bucket';
    return { code: 'store-denied', hint };
  }
  if (status === 507) return { code: 'store-full', hint: 'free some space in the object store' };
  if (status >= 300 && status < 400) {
    return {
      code: 'store-failed',
      hint: 'give the region of the bucket: `region=…` in its address',
    };
  }
  if (status === 501) {
    const hint = 'the store must know conditional writes (If-None-Match, If-Match)';
    return { code: 'store-failed', hint };
  }
  if (status === 408 || status === 409 || status === 429 || status >= 500) {
    return { code: 'store-unreachable', hint: 'the store is overloaded or has a fault: try later' };
  }
  return { code: 'store-failed', hint: 'the store refuses the request; its reason is above' };
}

function reasonOf(error: Error): string {
  const { cause } = error;
  if (error.name === 'TimeoutError') return 'it did not answer in time';
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string')
    return cause.code;
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message;
}
