// The simulated store keeps the laws of every blob store.

import { test } from 'node:test';
import { checkStore } from '../runtime/storage/blob-store.fixture.ts';
import { SimulatedBlobStore } from './simulated-blob-store.ts';
import { SimulatedStore } from './simulated-store.ts';

test('SimulatedStore keeps the laws of a blob store', async (context) => {
  await checkStore(context, () => {
    const core = new SimulatedStore();
    return { store: new SimulatedBlobStore(core), another: new SimulatedBlobStore(core) };
  });
});
