// The one error class for the world's failures: bad input, a missing file, a mistaken pipeline.
// Callers branch on `code`, never on the message.

export type ErrorFields = { readonly [name: string]: string | number | boolean | null };

export type StreamErrorOptions = {
  /** Stable, kebab-case: `file-not-found`. */
  readonly code: string;
  /** What was attempted, lower case, no full stop, with the object's name quoted. */
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
  readonly fields?: ErrorFields;
  readonly cause?: unknown;
};

/** A failure of the outside world, with a stable code, a hint and structured fields. */
export class StreamError extends Error {
  override name = 'StreamError';
  readonly code: string;
  readonly hint: string | undefined;
  readonly fields: ErrorFields;

  constructor(options: StreamErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.hint = options.hint;
    this.fields = options.fields ?? {};
  }
}

/**
 * What code of a user threw, as an error that names where: a StreamError says enough by itself.
 */
export function asStreamError(error: unknown, where: StreamErrorOptions): StreamError {
  if (error instanceof StreamError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new StreamError({ ...where, message: `${where.message}: ${reason}`, cause: error });
}

/** The error as data, for crossing threads and processes. */
export type StreamErrorData = {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
  readonly fields: ErrorFields;
  readonly stack: string | null;
};

export function errorToData(error: unknown): StreamErrorData {
  if (error instanceof StreamError) {
    const { code, message, fields } = error;
    return { code, message, hint: error.hint ?? null, fields, stack: error.stack ?? null };
  }
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? (error.stack ?? null) : null;
  return { code: 'internal', message, hint: null, fields: {}, stack };
}

export function errorFromData(data: StreamErrorData): StreamError {
  const { code, message, fields } = data;
  const error = new StreamError(
    data.hint === null ? { code, message, fields } : { code, message, fields, hint: data.hint },
  );
  if (data.stack !== null) error.stack = data.stack;
  return error;
}
