// Stores, checkpoints, leases and the range log over a real S3 server.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkpointContent } from '../../src/control/storage/checkpoints.fixture.ts';
import { isFenced } from '../../src/control/storage/storage-errors.ts';
import type { BlobStore } from '../../src/ports/blob-store.ts';
import { checkStore, keysOf, text, textOf } from '../../src/runtime/storage/blob-store.fixture.ts';
import { CheckpointStore } from '../../src/runtime/storage/checkpoint-store.ts';
import { acquireLease } from '../../src/runtime/storage/lease.ts';
import { ObjectRangeLog } from '../../src/runtime/storage/object-range-log.ts';
import { openStore } from '../../src/runtime/storage/open-store.ts';
import { checkLog } from '../../src/runtime/storage/range-log.fixture.ts';
import { S3Store } from '../../src/runtime/storage/s3-store.ts';
import { startS3 } from './s3-server.fixture.ts';
import type { S3Server } from './s3-server.fixture.ts';

let server: S3Server | null = null;
let missing = '';

before(async () => {
  const started = await startS3();
  if ('missing' in started) missing = started.missing;
  else server = started;
});
after(() => server?.stop());

/** Null: skip. With `CI` set, nothing here may be skipped. */
function serverOrSkip(skip: (reason: string) => void): S3Server | null {
  if (server !== null) return server;
  assert.ok(process.env['CI'] === undefined, `there must be an S3 server: ${missing}`);
  skip(`NOT TESTED AGAINST S3: ${missing}`);
  return null;
}

function openAt({ endpoint, bucket, environment }: S3Server, place: string): Promise<BlobStore> {
  return openStore(`s3://${bucket}/${place}?endpoint=${endpoint}`, environment);
}

test('S3Store keeps the laws of a blob store on a real server', async (context) => {
  const real = serverOrSkip((reason) => context.skip(reason));
  if (real === null) return;
  await checkStore(context, async (place) => {
    return { store: await openAt(real, place), another: await openAt(real, place) };
  });
});

test('S3Store lists page by page', async (context) => {
  const real = serverOrSkip((reason) => context.skip(reason));
  if (real === null) return;
  const { bucket, endpoint, environment } = real;
  const location = { bucket, prefix: 'pages/', endpoint, region: 'us-east-1', pathStyle: true };
  const credentials = {
    accessKeyId: environment['AWS_ACCESS_KEY_ID']!,
    secretAccessKey: environment['AWS_SECRET_ACCESS_KEY']!,
    sessionToken: null,
  };
  const store = new S3Store(location, credentials, { pageKeys: 3 });
  const keys = Array.from({ length: 10 }, (_, index) => `k+@=,~/${index}`);
  await Promise.all(keys.map((key) => store.put(key, text('x'))));
  assert.deepEqual(await keysOf(store, ''), keys);
});

test('checkpoints, lease and range log work over S3', async (context) => {
  const real = serverOrSkip((reason) => context.skip(reason));
  if (real === null) return;
  const store = await openAt(real, 'job');
  const lease = await acquireLease(store, { pipeline: 'p', holder: 'a', durationMs: 60_000 });
  await lease.renew();
  const warn = (said: string): void => assert.fail(said);
  const checkpoints = new CheckpointStore(store, { pipeline: 'p', nowMs: Date.now, warn });
  const chain = await checkpoints.open({ term: lease.term, holder: 'a' });
  const state = await checkpoints.writeState(
    { term: 1, worker: 0, incarnation: 0 },
    { stage: 1, partition: 0, batch: 4, kind: 'base' },
    text('state'),
  );
  await chain.commit(checkpointContent(4, [state]));
  await lease.release();
  const next = await acquireLease(store, { pipeline: 'p', holder: 'b', durationMs: 60_000 });
  await checkpoints.open({ term: next.term, holder: 'b' });
  await assert.rejects(chain.commit(checkpointContent(5, [state])), isFenced);
  const latest = (await checkpoints.latest())!;
  assert.equal(latest.batch, 4);
  assert.equal(textOf(await checkpoints.readState(latest.state[0]!.objects[0]!)), 'state');
});

test('ObjectRangeLog keeps the laws of a range log over S3', async (context) => {
  const real = serverOrSkip((reason) => context.skip(reason));
  if (real === null) return;
  const store = await openAt(real, 'logs');
  await checkLog(context, (place) => {
    const open = (): ObjectRangeLog => new ObjectRangeLog(store, place, Date.now);
    return { log: open(), another: open() };
  });
});
