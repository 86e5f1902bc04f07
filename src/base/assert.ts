// Assertions for our own mistakes. They stay on in production and crash; what the world gets wrong
// is a `StreamError` instead.

export class AssertionError extends Error {
  override name = 'AssertionError';
}

export function assert(condition: boolean, why: string): asserts condition {
  if (!condition) throw new AssertionError(why);
}

/** Closes a `switch` over a union: does not compile while a case is missing. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}
