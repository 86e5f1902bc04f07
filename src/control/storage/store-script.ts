// A protocol over a blob store, written once: a generator asks for one operation at a time and is
// told what came of it. The runtime answers from a real store, the simulator from its twin, with
// time, faults and crashes between any two steps. Failures are thrown into the generator.

import { AssertionError } from '../../base/assert.ts';
import type { BlobEntry, StoredBlob } from '../../ports/blob-store.ts';

export type StoreRequest =
  /** All of them, in any order of time. */
  | { readonly kind: 'get'; readonly keys: readonly string[] }
  | { readonly kind: 'put'; readonly key: string; readonly bytes: Uint8Array }
  | { readonly kind: 'create'; readonly key: string; readonly bytes: Uint8Array }
  | {
      readonly kind: 'replace';
      readonly key: string;
      readonly bytes: Uint8Array;
      readonly tag: string;
    }
  | { readonly kind: 'list'; readonly prefix: string }
  | { readonly kind: 'delete'; readonly keys: readonly string[] };

export type StoreReply =
  /** One for each key. */
  | { readonly kind: 'get'; readonly blobs: readonly (StoredBlob | null)[] }
  | { readonly kind: 'put' }
  | { readonly kind: 'create'; readonly created: boolean }
  | { readonly kind: 'replace'; readonly tag: string | null }
  | { readonly kind: 'list'; readonly entries: readonly BlobEntry[] }
  | { readonly kind: 'delete' };

export type StoreScript<Result> = Generator<StoreRequest, Result, StoreReply>;

/** Runs a script to its end against a store that answers at once. */
export function runScript<Result>(
  script: StoreScript<Result>,
  answer: (request: StoreRequest) => StoreReply,
): Result {
  let step = script.next();
  while (!step.done) {
    let reply: StoreReply;
    try {
      reply = answer(step.value);
    } catch (error) {
      step = script.throw(error);
      continue;
    }
    step = script.next(reply);
  }
  return step.value;
}

export function* getBlob(key: string): StoreScript<StoredBlob | null> {
  return (yield* getBlobs([key]))[0] ?? null;
}

export function* getBlobs(keys: readonly string[]): StoreScript<readonly (StoredBlob | null)[]> {
  if (keys.length === 0) return [];
  const reply = yield { kind: 'get', keys };
  return reply.kind === 'get' ? reply.blobs : mismatch('get', reply);
}

export function* putBlob(key: string, bytes: Uint8Array): StoreScript<void> {
  const reply = yield { kind: 'put', key, bytes };
  if (reply.kind !== 'put') mismatch('put', reply);
}

export function* createBlob(key: string, bytes: Uint8Array): StoreScript<boolean> {
  const reply = yield { kind: 'create', key, bytes };
  return reply.kind === 'create' ? reply.created : mismatch('create', reply);
}

export function* replaceBlob(
  key: string,
  content: { readonly bytes: Uint8Array; readonly tag: string },
): StoreScript<string | null> {
  const reply = yield { kind: 'replace', key, ...content };
  return reply.kind === 'replace' ? reply.tag : mismatch('replace', reply);
}

export function* listBlobs(prefix: string): StoreScript<readonly BlobEntry[]> {
  const reply = yield { kind: 'list', prefix };
  return reply.kind === 'list' ? reply.entries : mismatch('list', reply);
}

export function* deleteBlobs(keys: readonly string[]): StoreScript<void> {
  if (keys.length === 0) return;
  const reply = yield { kind: 'delete', keys };
  if (reply.kind !== 'delete') mismatch('delete', reply);
}

function mismatch(asked: StoreRequest['kind'], reply: StoreReply): never {
  throw new AssertionError(`a ${asked} was answered by a ${reply.kind}`);
}
