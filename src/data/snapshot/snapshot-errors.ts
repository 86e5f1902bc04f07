// What can be wrong with state that is read: damaged bytes, bytes of another release, and state of
// another operator than the one that should take it.

import { StreamError } from '../../base/stream-error.ts';

/** The bytes are not what was written. */
export function damagedState(what: string): StreamError {
  return new StreamError({
    code: 'state-damaged',
    message: `could not read state: ${what}`,
    hint: 'the file was damaged or cut off; the checkpoint before it may be whole',
  });
}

/** The bytes are whole, and of a format that this release does not know. */
export function unknownState(what: string): StreamError {
  return new StreamError({
    code: 'state-version',
    message: `could not read state: ${what}`,
    hint: 'read it with the release that wrote it',
  });
}

/** The state is whole, and another than the operator can go on with. */
export function mismatchedState(difference: string): StreamError {
  return new StreamError({
    code: 'state-mismatch',
    message: `could not use state: ${difference}`,
    hint: 'start the pipeline that wrote the state, or start without state',
    fields: { difference },
  });
}

/** The error of one of the functions above, saying whose state it is. */
export function restoreError(error: unknown, operator: string, partition: number): unknown {
  if (!(error instanceof StreamError)) return error;
  const { code, message, hint, fields } = error;
  const reason = message.slice(message.indexOf(': ') + 2);
  return new StreamError({
    code,
    message: `could not restore operator "${operator}", partition ${partition}: ${reason}`,
    ...(hint === undefined ? {} : { hint }),
    fields: { ...fields, operator, partition },
    cause: error,
  });
}

export function tooLargeState(bytes: number): StreamError {
  return new StreamError({
    code: 'state-too-large',
    message: `could not take a snapshot: the state of one partition has ${bytes} bytes`,
    hint: 'give the pipeline more partitions',
    fields: { bytes },
  });
}
