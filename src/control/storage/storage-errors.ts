// What can go wrong with what is stored, as errors that name the key, the reason and the remedy.

import type { ErrorFields } from '../../base/stream-error.ts';
import { StreamError } from '../../base/stream-error.ts';

export type StorageErrorCode =
  /** The store does not answer, or only with faults of its own. */
  | 'store-unreachable'
  /** It answers, and refuses us. */
  | 'store-denied'
  /** The bucket or folder itself is missing. */
  | 'store-not-found'
  | 'store-full'
  | 'store-failed'
  | 'store-url-invalid'
  | 'store-key-invalid'
  | 'checkpoint-damaged'
  /** Somebody asked for one that is not there. */
  | 'checkpoint-not-found'
  /** Somebody wants to delete a savepoint that is none. */
  | 'no-savepoint'
  /** A start from an older checkpoint, and nobody says what becomes of the output. */
  | 'output-undecided'
  /** Nobody drives the pipeline over this store. */
  | 'no-driver'
  /** The driver has another request to answer. */
  | 'request-busy'
  /** It has not answered in time. */
  | 'request-unanswered'
  /** Written by a release that this one does not understand. */
  | 'checkpoint-format'
  /** Somebody with a greater term, or the driver's seal, came first: what was tried is void. */
  | 'fenced'
  | 'lease-lost'
  /** The lease or the journal cannot be read. */
  | 'lease-damaged'
  | 'range-log-damaged'
  /** The disk gives other bytes than were spilled to it. */
  | 'spill-damaged'
  | 'range-log-conflict';

export function storageError(options: {
  readonly code: StorageErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly fields: ErrorFields;
  readonly cause?: unknown;
}): StreamError {
  return new StreamError(options);
}

export function isFenced(error: unknown): boolean {
  return error instanceof StreamError && error.code === 'fenced';
}
