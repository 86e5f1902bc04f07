// A blob store in memory, synchronous: the simulator calls it between its own delays and faults,
// and `SimulatedBlobStore` gives it the port's shape. Nothing fails here and everything is durable.

import { unreachable } from '../base/assert.ts';
import { checkBlobKey, checkKeyPrefix } from '../control/storage/blob-key.ts';
import type { StoreReply, StoreRequest } from '../control/storage/store-script.ts';
import type { BlobEntry, StoredBlob } from '../ports/blob-store.ts';

type Version = StoredBlob & { readonly modifiedMs: number };

export class SimulatedStore {
  readonly #blobs = new Map<string, Version>();
  readonly #nowMs: () => number;
  #version = 0;

  constructor(nowMs: () => number = () => 0) {
    this.#nowMs = nowMs;
  }

  get(key: string): StoredBlob | null {
    checkBlobKey(key);
    const found = this.#blobs.get(key);
    return found === undefined ? null : { bytes: found.bytes.slice(), tag: found.tag };
  }

  put(key: string, bytes: Uint8Array): void {
    checkBlobKey(key);
    this.#set(key, bytes);
  }

  create(key: string, bytes: Uint8Array): boolean {
    checkBlobKey(key);
    if (this.#blobs.has(key)) return false;
    this.#set(key, bytes);
    return true;
  }

  replace(key: string, bytes: Uint8Array, tag: string): string | null {
    checkBlobKey(key);
    if (this.#blobs.get(key)?.tag !== tag) return null;
    return this.#set(key, bytes);
  }

  list(prefix: string): readonly BlobEntry[] {
    checkKeyPrefix(prefix);
    // Keys are ASCII, so the order of their characters is the order of their bytes.
    return [...this.#blobs]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { bytes, modifiedMs }]) => ({ key, bytes: bytes.length, modifiedMs }));
  }

  delete(keys: readonly string[]): void {
    for (const key of keys) {
      checkBlobKey(key);
      this.#blobs.delete(key);
    }
  }

  /** One step of a script. */
  answer(request: StoreRequest): StoreReply {
    switch (request.kind) {
      case 'get':
        return { kind: 'get', blobs: request.keys.map((key) => this.get(key)) };
      case 'put':
        this.put(request.key, request.bytes);
        return { kind: 'put' };
      case 'create':
        return { kind: 'create', created: this.create(request.key, request.bytes) };
      case 'replace': {
        const { key, bytes, tag } = request;
        return { kind: 'replace', tag: this.replace(key, bytes, tag) };
      }
      case 'list':
        return { kind: 'list', entries: this.list(request.prefix) };
      case 'delete':
        this.delete(request.keys);
        return { kind: 'delete' };
      default:
        return unreachable(request);
    }
  }

  #set(key: string, bytes: Uint8Array): string {
    const tag = String(++this.#version);
    this.#blobs.set(key, { bytes: bytes.slice(), tag, modifiedMs: this.#nowMs() });
    return tag;
  }
}
