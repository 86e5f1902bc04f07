// The system's failures with files of ours, as errors: what was tried, where, and what to do.

import { StreamError } from '../../base/stream-error.ts';
import type { StorageErrorCode } from '../../control/storage/storage-errors.ts';
import { storageError } from '../../control/storage/storage-errors.ts';

type Failure = { readonly code: StorageErrorCode; readonly hint: string };

const denied: Failure = {
  code: 'store-denied',
  hint: 'let this user read and write the folder, or choose another one',
};
const full: Failure = { code: 'store-full', hint: 'free some space, or choose another disk' };
const away: Failure = {
  code: 'store-unreachable',
  hint: 'is the file system mounted, and its server up?',
};
const misplaced: Failure = {
  code: 'store-not-found',
  hint: 'a part of the path is a file, not a folder',
};

const failures: ReadonlyMap<string, Failure> = new Map([
  ['EACCES', denied],
  ['EPERM', denied],
  ['EROFS', denied],
  ['ENOSPC', full],
  ['EDQUOT', full],
  ['EFBIG', full],
  ['EIO', away],
  ['ESTALE', away],
  ['ETIMEDOUT', away],
  ['ENOTDIR', misplaced],
]);

/** `attempt`: `read "key" in the folder`. What is a StreamError already stays as it is. */
export function fileFailure(attempt: string, path: string, cause: unknown): StreamError {
  if (cause instanceof StreamError) return cause;
  const isSystem = cause instanceof Error && 'code' in cause && 'syscall' in cause;
  // Not the system's failure: a mistake of ours, which must be seen as one.
  if (!isSystem) throw cause;
  const errno = String(cause.code);
  return storageError({
    code: failures.get(errno)?.code ?? 'store-failed',
    message: `could not ${attempt} "${path}"`,
    hint: failures.get(errno)?.hint ?? `the system says ${errno}`,
    fields: { path, errno },
    cause,
  });
}
