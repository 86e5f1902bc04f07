// Requests list partitions below their topics; the port lists them flat.

/** In the order of the first of each. */
export function byTopic<Part extends { readonly topic: string }>(
  parts: readonly Part[],
): readonly (readonly [string, readonly Part[]])[] {
  return [...Map.groupBy(parts, ({ topic }) => topic)];
}
