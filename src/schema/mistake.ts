// A user's mistake as data. Builders collect mistakes instead of throwing, so that a pipeline can
// report all of them at once.

import type { CallSite } from '../base/call-site.ts';

export type Mistake = {
  /** Lower case, no full stop, names in quotes. */
  readonly message: string;
  /** What to do about it. */
  readonly hint: string | null;
  /** The user's call; null: the call of the builder method that it was made inside of. */
  readonly site: CallSite | null;
  /** What a user's callback threw. */
  readonly cause?: unknown;
};

export function mistake(message: string, hint: string | null = null): Mistake {
  return { message, hint, site: null };
}

/** Mistakes that name no call of their own get this one. */
export function placed(mistakes: readonly Mistake[], site: CallSite): readonly Mistake[] {
  return mistakes.map((one) => (one.site === null ? { ...one, site } : one));
}
