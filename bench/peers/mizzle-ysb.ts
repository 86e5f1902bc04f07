// The Yahoo Streaming Benchmark on Mizzle, as a command: not there yet.

export type FromMizzle =
  /** All is there, and it began to read. */
  | { readonly kind: 'runs'; readonly sinceMs: number }
  | { readonly kind: 'host'; readonly pid: number };
