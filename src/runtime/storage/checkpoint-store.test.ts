// Checkpoints in a folder: written, read, kept, deleted, damaged.

import assert from 'node:assert/strict';
import {
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { StreamError } from '../../base/stream-error.ts';
import type { StateObject } from '../../control/protocol/checkpoint-manifest.ts';
import { checkpointContent } from '../../control/storage/checkpoints.fixture.ts';
import { isFenced } from '../../control/storage/storage-errors.ts';
import { keysOf, text, textOf } from './blob-store.fixture.ts';
import { CheckpointStore, pipelinesIn } from './checkpoint-store.ts';
import { DirectoryStore } from './directory-store.ts';

const base = mkdtempSync(join(tmpdir(), 'mizzle-checkpoints-'));
after(() => rmSync(base, { recursive: true }));

const writer = { term: 1, worker: 0, incarnation: 0 };
const pipeline = 'clicks per page';

function openAt(place: string) {
  const folder = join(base, place);
  const blobs = new DirectoryStore(folder);
  const warnings: string[] = [];
  const warn = (said: string, { file }: { readonly [name: string]: string }): void => {
    warnings.push(`${file}: ${said}`);
  };
  const store = new CheckpointStore(blobs, { pipeline, nowMs: Date.now, warn });
  const path = (key: string): string => join(folder, 'clicks=20per=20page', key);
  return { blobs, store, warnings, path };
}

async function stateOf(
  store: CheckpointStore,
  batch: number,
  kind: 'base' | 'delta' = 'base',
): Promise<StateObject> {
  const name = { stage: 1, partition: 0, batch, kind };
  return store.writeState(writer, name, text(`state of ${batch}`));
}

test('CheckpointStore gives back the newest checkpoint and its state', async () => {
  const { blobs, store, warnings } = openAt('newest');
  assert.equal(await store.latest(), null);
  const chain = await store.open({ term: 1, holder: 'a' });
  assert.equal(await store.latest(), null);
  const first = await stateOf(store, 4);
  await chain.commit(checkpointContent(4, [first]));
  const second = await stateOf(store, 9, 'delta');
  const committed = await chain.commit(checkpointContent(9, [first, second]));
  const latest = await store.latest();
  assert.deepEqual(latest, committed);
  assert.equal(latest?.sequence, 3);
  assert.equal(textOf(await store.readState(latest.state[0]!.objects[1]!)), 'state of 9');
  assert.deepEqual(await pipelinesIn(blobs), [pipeline]);
  assert.deepEqual(warnings, []);
  assert.ok((await store.verify()).every(({ problems }) => problems.length === 0));
});

test('CheckpointStore reads the state too, and does not begin anew after damage', async () => {
  const { store, warnings, path } = openAt('whole');
  assert.equal(await store.latestWhole(), null);
  const chain = await store.open({ term: 1, holder: 'a' });
  const objects: StateObject[] = [];
  for (const batch of [1, 2, 3]) {
    objects.push(await stateOf(store, batch));
    await chain.commit(checkpointContent(batch, [objects.at(-1)!]));
  }
  // As long as before: only the checksum tells.
  for (const object of objects.slice(1)) writeFileSync(path(object.key), 'STATE OF X');
  assert.equal((await store.latest())?.batch, 3);
  assert.equal((await store.latestWhole())?.batch, 1);
  assert.deepEqual(
    warnings.map((warning) => warning.split('"')[1]),
    [objects[2]!.key, objects[1]!.key],
  );
  assert.match(warnings[0]!, /does not match its checksum; used checkpoint 2 instead/);
  writeFileSync(path(objects[0]!.key), 'STATE OF X');
  const isDamaged = (error: unknown): boolean =>
    error instanceof StreamError && error.code === 'checkpoint-damaged';
  await assert.rejects(store.latestWhole(), isDamaged);
});

test('ManifestWriter: a driver of an older term cannot commit and is told so', async () => {
  const { store } = openAt('fenced');
  const old = await store.open({ term: 1, holder: 'a' });
  await old.commit(checkpointContent(1));
  const next = await store.open({ term: 2, holder: 'b' });
  await assert.rejects(old.commit(checkpointContent(2)), isFenced);
  await next.commit(checkpointContent(3));
  await assert.rejects(old.commit(checkpointContent(4)), isFenced);
  await assert.rejects(store.open({ term: 1, holder: 'a' }), isFenced);
  await assert.rejects(store.open({ term: 2, holder: 'c' }), isFenced);
  assert.equal((await store.latest())?.batch, 3);
});

test('CheckpointStore passes over what is damaged or missing, and names it', async () => {
  const { store, warnings, path } = openAt('damaged');
  const chain = await store.open({ term: 1, holder: 'a' });
  const objects: StateObject[] = [];
  for (const batch of [1, 2, 3, 4, 5]) {
    objects.push(await stateOf(store, batch));
    await chain.commit(checkpointContent(batch, [objects.at(-1)!]));
  }
  // 5: manifest cut off; 4: state cut off; 3: state missing; 2: state changed, same size.
  truncateSync(path('manifests/000000000006.json'), 100);
  truncateSync(path(objects[3]!.key), 3);
  rmSync(path(objects[2]!.key));
  const latest = (await store.latest())!;
  assert.equal(latest.batch, 2);
  assert.deepEqual(
    warnings.map((warning) => warning.split(': ')[0]),
    [6, 5, 4].map((number) => `clicks=20per=20page/manifests/00000000000${number}.json`),
  );
  assert.match(warnings[0]!, /not whole JSON; used checkpoint 3 instead/);
  assert.match(warnings[1]!, /has 3 bytes, not 10/);
  assert.match(warnings[2]!, /000000000003-base" is missing/);

  writeFileSync(path(objects[1]!.key), 'STATE OF 2');
  const isChecksum = (error: unknown): boolean =>
    error instanceof StreamError &&
    error.code === 'checkpoint-damaged' &&
    error.fields['file'] === objects[1]!.key;
  await assert.rejects(store.readState(latest.state[0]!.objects[0]!), isChecksum);
  const before = (await store.latest(latest.sequence))!;
  assert.equal(before.batch, 1);

  const verified = await store.verify();
  assert.deepEqual(
    verified.map(({ problems }) => problems.length),
    [0, 1, 1, 1, 1],
  );
  assert.match(verified[1]!.problems[0]!, /does not match its checksum/);

  rmSync(path(objects[0]!.key));
  truncateSync(path('manifests/000000000003.json'), 10);
  await assert.rejects(
    store.latest(),
    (error) => error instanceof StreamError && error.code === 'checkpoint-damaged',
  );
});

test('ManifestWriter keeps the last ones and savepoints, and what they name', async () => {
  const { blobs, store, path } = openAt('retained');
  const chain = await store.open({ term: 1, holder: 'a' });
  const first = await stateOf(store, 0);
  const made: StateObject[] = [];
  for (let batch = 1; batch <= 6; batch++) {
    const own = await stateOf(store, batch, 'delta');
    made.push(own);
    // The base is named by all but the last two.
    const objects = batch <= 4 ? [first, own] : [{ ...own, kind: 'base' as const }];
    await chain.commit(checkpointContent(batch, objects, batch === 2 ? 'keep me' : null));
  }
  const young = await chain.retain(2);
  assert.equal(young.deletedObjects, 0, 'nothing is deleted before the time of grace is over');
  assert.equal(young.oldestBatch, 5);
  assert.deepEqual(
    (await store.list()).map(({ batch }) => batch),
    [2, 5, 6],
  );

  const orphans = [await stateOf(store, 7, 'delta'), await stateOf(store, 3, 'base')];
  const foreign = await store.writeState(
    { term: 2, worker: 0, incarnation: 0 },
    { stage: 1, partition: 0, batch: 3, kind: 'base' },
    text('newer'),
  );
  const old = new Date(Date.now() - 2 * 60 * 60 * 1000);
  for (const { key } of [first, ...made, ...orphans, foreign]) utimesSync(path(key), old, old);
  await chain.retain(2);
  const left = await keysOf(blobs, 'clicks=20per=20page/state/');
  const expected = [first, made[1]!, made[4]!, made[5]!, orphans[0]!, foreign];
  assert.deepEqual(
    left,
    expected.map(({ key }) => `clicks=20per=20page/${key}`).sort(),
    'kept: what 2, 5 and 6 name; what a checkpoint under way may name; what a newer term wrote',
  );
  assert.ok((await store.verify()).every(({ problems }) => problems.length === 0));

  // A successor may delete all that the older term left, once it is old.
  const next = await store.open({ term: 3, holder: 'b' });
  await next.retain(2);
  const later = await keysOf(blobs, 'clicks=20per=20page/state/');
  assert.equal(later.length, 4);
});

test('ManifestWriter deletes no state while a manifest hides what it names', async () => {
  const { blobs, store, warnings, path } = openAt('hidden');
  const chain = await store.open({ term: 1, holder: 'a' });
  const objects: StateObject[] = [];
  for (let batch = 1; batch <= 5; batch++) {
    objects.push(await stateOf(store, batch));
    const savepoint = batch === 1 ? 'keep me' : null;
    await chain.commit(checkpointContent(batch, [objects.at(-1)!], savepoint));
  }
  const savepoint = path('manifests/000000000002.json');
  const whole = readFileSync(savepoint);
  truncateSync(savepoint, 10);
  truncateSync(path('manifests/000000000003.json'), 10);
  const old = new Date(Date.now() - 2 * 60 * 60 * 1000);
  for (const { key } of objects) utimesSync(path(key), old, old);
  const { deletedObjects, unreadable } = await chain.retain(2);
  assert.deepEqual([deletedObjects, unreadable.length, warnings.length], [0, 1, 1]);
  assert.equal((await keysOf(blobs, 'clicks=20per=20page/state/')).length, 5);
  writeFileSync(savepoint, whole);
  await chain.retain(2);
  assert.deepEqual(
    (await store.list()).map(({ batch }) => batch),
    [1, 4, 5],
  );
  assert.equal((await keysOf(blobs, 'clicks=20per=20page/state/')).length, 3);
});

test('CheckpointStore gives a savepoint up: retention deletes it and its marks', async () => {
  const { blobs, store, path } = openAt('given-up');
  const chain = await store.open({ term: 1, holder: 'a' });
  const objects: StateObject[] = [];
  for (let batch = 1; batch <= 4; batch++) {
    objects.push(await stateOf(store, batch));
    const savepoint = batch <= 2 ? `s${batch}` : null;
    await chain.commit(checkpointContent(batch, [objects.at(-1)!], savepoint));
  }
  const old = new Date(Date.now() - 2 * 60 * 60 * 1000);
  for (const { key } of objects) utimesSync(path(key), old, old);
  const [first] = await store.list();
  await store.deleteSavepoint(first!.sequence);
  assert.deepEqual(
    (await store.list()).map(({ savepoint }) => savepoint),
    [null, 's2', null, null],
  );
  await chain.retain(2);
  assert.deepEqual(
    (await store.list()).map(({ batch }) => batch),
    [2, 3, 4],
  );
  assert.equal((await keysOf(blobs, 'clicks=20per=20page/state/')).length, 3);
  assert.equal((await keysOf(blobs, 'clicks=20per=20page/savepoints/')).length, 1);
  // A savepoint's mark keeps a manifest that is damaged, but not one that was given up.
  const [second] = await store.list();
  truncateSync(path('manifests/000000000003.json'), 10);
  await chain.retain(2);
  assert.ok((await keysOf(blobs, 'clicks=20per=20page/manifests/')).length === 3);
  await store.deleteSavepoint(second!.sequence);
  await chain.retain(2);
  assert.ok((await keysOf(blobs, 'clicks=20per=20page/manifests/')).length === 2);
  assert.deepEqual(await keysOf(blobs, 'clicks=20per=20page/savepoints/'), []);
});
