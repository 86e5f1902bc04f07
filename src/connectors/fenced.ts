// The error of a writer that another one has replaced.

import { StreamError } from '../base/stream-error.ts';

/** `target` is what was written to, as the user named it. */
export function fenced(target: string, partition: number): StreamError {
  return new StreamError({
    code: 'fenced',
    message: `could not write to "${target}": partition ${partition} has a newer writer`,
    hint: 'the run goes on elsewhere; nothing that this writer did not finish is visible',
    fields: { target, partition },
  });
}

type Writer = { readonly term: number; readonly incarnation: number };

/** Whether `left` comes later than `right` in the order of writers. */
export function isNewer(left: Writer, right: Writer): boolean {
  if (left.term !== right.term) return left.term > right.term;
  return left.incarnation > right.incarnation;
}
