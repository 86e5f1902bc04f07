// Where a function was called from. Taking one is cheap: the engine keeps the raw frame and makes
// text of it only when somebody asks, which is when a mistake is reported.

export class CallSite {
  readonly #holder: { stack?: string };

  constructor(holder: { stack?: string }) {
    this.#holder = holder;
  }

  /** `/app/job.ts:3:10`, or `unknown place`. */
  toString(): string {
    const frame = this.#holder.stack?.split('\n').find((line) => /^\s+at /.test(line));
    const place = frame && /\(?((?:file:|\/|[A-Za-z]:\\|https?:).*:\d+:\d+)\)?$/.exec(frame)?.[1];
    return place ? withoutScheme(place) : 'unknown place';
  }
}

/** The place that called `callee`. */
export function captureCallSite(callee: (...args: never[]) => unknown): CallSite {
  const holder: { stack?: string } = {};
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 1;
  Error.captureStackTrace(holder, callee);
  Error.stackTraceLimit = limit;
  return new CallSite(holder);
}

function withoutScheme(place: string): string {
  if (!place.startsWith('file://')) return place;
  const path = place.slice('file://'.length);
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // A lone percent sign in a folder's name.
  }
}
