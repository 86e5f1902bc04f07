// Whether a file is still the one that a run began to read: it is no shorter, and its first and
// last bytes of that time are the same. Inode and times say less, since another host may have a
// copy.

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { StreamError } from '../../base/stream-error.ts';
import { fileError } from './file-errors.ts';

export type FileCheck = {
  /** The length at the start of the run. */
  readonly bytes: number;
  /** Of the first and the last 4 KiB of it. */
  readonly hash: string;
};

const partBytes = 4096;

export async function checkOf(path: string, bytes: number): Promise<FileCheck> {
  const hash = createHash('sha256');
  const file = await open(path, 'r');
  try {
    const starts = [0, Math.max(partBytes, bytes - partBytes)].filter((start) => start < bytes);
    for (const start of starts) {
      const part = new Uint8Array(Math.min(partBytes, bytes - start));
      const { bytesRead } = await file.read(part, 0, part.length, start);
      hash.update(part.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
  return { bytes, hash: hash.digest('hex').slice(0, 16) };
}

/** Throws unless what was there is there still; `offset` is where it is to be read. */
export async function requireSame(
  path: string,
  { check, offset }: { readonly check: FileCheck; readonly offset: number },
): Promise<void> {
  try {
    const file = await open(path, 'r');
    const { size } = await file.stat().finally(() => file.close());
    if (size < check.bytes) throw truncated(path, { offset, size });
    if ((await checkOf(path, check.bytes)).hash !== check.hash) throw changed(path, offset);
  } catch (error) {
    throw fileError('read file', path, error);
  }
}

export function truncated(
  path: string,
  { offset, size }: { readonly offset: number; readonly size: number },
): StreamError {
  return new StreamError({
    code: 'file-truncated',
    message: `could not read file "${path}" at byte ${offset}: it became shorter, ${size} bytes`,
    hint: 'files must not be cut or written anew while a run needs them',
    fields: { file: path, offset, bytes: size },
  });
}

function changed(path: string, offset: number): StreamError {
  return new StreamError({
    code: 'file-changed',
    message: `could not read file "${path}" at byte ${offset} again: it is another file now`,
    hint: 'put back the file that the run started with, or start a new run',
    fields: { file: path, offset },
  });
}
