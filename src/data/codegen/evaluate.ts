// Turns generated JavaScript into a value: the only place of the project that evaluates source.
// What it evaluates is written by our own code generators and never holds text of the data.

/**
 * Evaluates the body of a strict function whose variables are the members of `scope` and gives
 * what it returns.
 *
 * @example
 * evaluateSource<number>('return a + b;', { a: 1, b: 2 }); // 3
 */
export function evaluateSource<T>(source: string, scope: Record<string, unknown>): T {
  const names = Object.keys(scope);
  // oxlint-disable-next-line no-new-func -- Kernels are generated; this is the one door for them.
  const build = new Function(...names, `'use strict';\n${source}`) as (...values: unknown[]) => T;
  return build(...names.map((name) => scope[name]));
}
