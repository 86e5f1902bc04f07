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
