// The world's failures with files, as StreamErrors: one code for each thing a user can do about it.

import { StreamError } from '../../base/stream-error.ts';

type Failure = { readonly code: string; readonly hint: string };

const failures: ReadonlyMap<string, Failure> = new Map([
  [
    'ENOENT',
    {
      code: 'file-not-found',
      hint: 'check the path; relative ones start at the working directory',
    },
  ],
  [
    'EACCES',
    { code: 'file-permission', hint: 'let this user read and write it, or choose another path' },
  ],
  [
    'EPERM',
    { code: 'file-permission', hint: 'let this user read and write it, or choose another path' },
  ],
  ['EISDIR', { code: 'file-is-folder', hint: 'give a file, or end the path of a folder with "/"' }],
  ['ENOTDIR', { code: 'file-not-found', hint: 'a part of the path is a file, not a folder' }],
  [
    'EMFILE',
    { code: 'too-many-open-files', hint: 'raise the limit (ulimit -n) or read fewer files' },
  ],
  [
    'ENFILE',
    { code: 'too-many-open-files', hint: 'raise the limit (ulimit -n) or read fewer files' },
  ],
  ['ENOSPC', { code: 'disk-full', hint: 'free some space, or write to another disk' }],
  ['EDQUOT', { code: 'disk-full', hint: 'the disk quota is used up' }],
  ['EFBIG', { code: 'disk-full', hint: 'the file has reached the greatest size allowed' }],
  ['EROFS', { code: 'file-permission', hint: 'the file system is read-only' }],
]);

/** `attempt`: `read file`, `write file`; what is thrown again if it already is a StreamError. */
export function fileError(attempt: string, path: string, cause: unknown): StreamError {
  if (cause instanceof StreamError) return cause;
  const errno = errnoOf(cause);
  const isDamaged = errno.startsWith('Z_');
  const failure = failures.get(errno) ?? {
    code: isDamaged ? 'file-damaged' : 'file-failed',
    hint: isDamaged ? 'the compressed data is not whole' : `the system says ${errno}`,
  };
  const message = `could not ${attempt} "${path}"`;
  return new StreamError({ ...failure, message, fields: { file: path, errno }, cause });
}

export function errnoOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' ? code : String(cause);
}
