// The port of a store of blobs: a folder, an object store, or their twin. Everything that must
// survive a process lies in one: checkpoints, the driver's lease and journal, the range log.

export type StoredBlob = {
  readonly bytes: Uint8Array;
  /** Names this content of this key for `replace`; opaque. */
  readonly tag: string;
};

export type BlobEntry = {
  readonly key: string;
  readonly bytes: number;
  /** Epoch ms by the store's own clock, which may differ from ours: only for long grace times. */
  readonly modifiedMs: number;
};

/**
 * Keys are parts of letters, digits and `._=+@,~-`, joined by `/`; no part starts with a dot. What
 * a call has done is durable when it resolves, and every later call of anybody sees it. Transient
 * faults are retried inside, within a bound; what still fails rejects with a StreamError whose code
 * starts with `store-`. After such a rejection the change may or may not have happened.
 */
export interface BlobStore {
  /** Where it is, for messages; holds no secret. */
  readonly description: string;
  get(key: string): Promise<StoredBlob | null>;
  /** Creates or overwrites. */
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** Creates, unless the key exists: then false, and nothing has changed. */
  create(key: string, bytes: Uint8Array): Promise<boolean>;
  /**
   * Overwrites, if the key still has the content that `tag` names; resolves with the new tag. Null:
   * it has not, and nothing has changed; or, after a fault in between, what was written has been
   * replaced by somebody meanwhile. Who gets null reads again.
   */
  replace(key: string, bytes: Uint8Array, tag: string): Promise<string | null>;
  /** Every key that starts with `prefix`, ascending by its bytes. */
  list(prefix: string): AsyncIterable<BlobEntry>;
  /** Keys that do not exist are no error. Not atomic over several keys. */
  delete(keys: readonly string[]): Promise<void>;
}
