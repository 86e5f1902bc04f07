// The error of a source that lacks what a run has read of it before.

import { StreamError } from '../base/stream-error.ts';

export function rangeGone(
  what: string,
  { offset, size }: { readonly offset: number; readonly size: number },
): StreamError {
  return new StreamError({
    code: 'range-gone',
    message: `could not read ${what} up to ${offset} again: it ends at ${size}`,
    hint: 'give the run the input that it started with, or start a new run',
    fields: { offset, size },
  });
}

/** The other end: what was read first is removed first. */
export function rangeRemoved(
  what: string,
  { offset, first }: { readonly offset: number; readonly first: number },
): StreamError {
  return new StreamError({
    code: 'range-gone',
    message: `could not read ${what} from ${offset} on again: it begins at ${first} by now`,
    hint: 'keep records longer than it takes to recover, or start a new run',
    fields: { offset, first },
  });
}
