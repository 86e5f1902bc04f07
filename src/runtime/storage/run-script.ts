// Answers a script over a blob store from a real one.

import { unreachable } from '../../base/assert.ts';
import type { StoreReply, StoreRequest, StoreScript } from '../../control/storage/store-script.ts';
import type { BlobEntry, BlobStore } from '../../ports/blob-store.ts';

/** Reads under way at a time: hides the latency of a store without flooding it. */
const readsMax = 32;

export async function runStoreScript<Result>(
  store: BlobStore,
  script: StoreScript<Result>,
): Promise<Result> {
  let step = script.next();
  while (step.done !== true) {
    let reply: StoreReply;
    try {
      reply = await answer(store, step.value);
    } catch (error) {
      step = script.throw(error);
      continue;
    }
    step = script.next(reply);
  }
  return step.value;
}

async function answer(store: BlobStore, request: StoreRequest): Promise<StoreReply> {
  switch (request.kind) {
    case 'get': {
      const blobs = await mapped(request.keys, readsMax, (key) => store.get(key));
      return { kind: 'get', blobs };
    }
    case 'put':
      await store.put(request.key, request.bytes);
      return { kind: 'put' };
    case 'create':
      return { kind: 'create', created: await store.create(request.key, request.bytes) };
    case 'replace': {
      const { key, bytes, tag } = request;
      return { kind: 'replace', tag: await store.replace(key, bytes, tag) };
    }
    case 'list': {
      const entries: BlobEntry[] = [];
      for await (const entry of store.list(request.prefix)) entries.push(entry);
      return { kind: 'list', entries };
    }
    case 'delete':
      await store.delete(request.keys);
      return { kind: 'delete' };
    default:
      return unreachable(request);
  }
}

/** Like `map`, with at most `most` calls under way. */
export async function mapped<Item, Result>(
  items: readonly Item[],
  most: number,
  action: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  const left = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of left) results[index] = await action(item);
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, worker));
  return results;
}
