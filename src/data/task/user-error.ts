// Makes what a user's function threw an error that says where: the operator, and the place in the
// source's input where the record is.

import { CallSite } from '../../base/call-site.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { ErrorFields } from '../../base/stream-error.ts';
import type { UserCalls } from '../codegen/user-calls.ts';

export type InputPlace = { readonly origin: string; readonly offset: number };

/** The error to throw in place of one that came out of a kernel. */
export function userError(
  error: unknown,
  context: { readonly calls: UserCalls; readonly where: (() => InputPlace | null) | null },
): unknown {
  const { calls } = context;
  const operator = calls.active;
  const isBadResult = error instanceof StreamError && error.code === 'lambda-type';
  if (operator === null && !isBadResult) return error;
  const place = context.where === null ? null : context.where();
  const at = place === null ? '' : ` at ${place.origin}, offset ${place.offset}`;
  const fields: ErrorFields = {
    ...(operator === null ? {} : { operator }),
    ...(place === null ? {} : { origin: place.origin, offset: place.offset }),
    ...(error instanceof Error && !isBadResult ? { thrownAt: String(new CallSite(error)) } : {}),
  };
  const said = error instanceof Error ? error.message : String(error);
  const who = operator === null ? 'a function' : `the function of operator "${operator}"`;
  return new StreamError({
    code: 'user-function',
    message: `${who} failed${at}: ${said}`,
    hint: isBadResult
      ? 'return values of the declared types, and null only where a column may be null'
      : 'catch inside the function what it can go on after',
    fields,
    cause: error,
  });
}
