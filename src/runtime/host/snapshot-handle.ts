// Where the state of a partition lies, as it travels between workers and driver: the objects of a
// store that it is put together from, in order, a base first and then the deltas upon it.

export type SnapshotObject = {
  readonly key: string;
  readonly bytes: number;
  readonly crc32: number;
  readonly kind: 'base' | 'delta';
  /** The micro-batch as of which it was taken. */
  readonly batch: number;
};

export type SnapshotHandle = { readonly objects: readonly SnapshotObject[] };
