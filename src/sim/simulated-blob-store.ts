// The simulated store behind the port: for tests of what only knows the port.

import type { BlobEntry, BlobStore, StoredBlob } from '../ports/blob-store.ts';
import { SimulatedStore } from './simulated-store.ts';

export class SimulatedBlobStore implements BlobStore {
  readonly description = 'memory';
  readonly #core: SimulatedStore;

  constructor(core: SimulatedStore = new SimulatedStore()) {
    this.#core = core;
  }

  async get(key: string): Promise<StoredBlob | null> {
    return this.#core.get(key);
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    this.#core.put(key, bytes);
  }

  async create(key: string, bytes: Uint8Array): Promise<boolean> {
    return this.#core.create(key, bytes);
  }

  async replace(key: string, bytes: Uint8Array, tag: string): Promise<string | null> {
    return this.#core.replace(key, bytes, tag);
  }

  async *list(prefix: string): AsyncIterable<BlobEntry> {
    yield* this.#core.list(prefix);
  }

  async delete(keys: readonly string[]): Promise<void> {
    this.#core.delete(keys);
  }
}
