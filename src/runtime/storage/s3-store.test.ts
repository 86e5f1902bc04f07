// The S3 store against a server that breaks on demand.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { inspect } from 'node:util';
import { StreamError } from '../../base/stream-error.ts';
import type { BlobStore } from '../../ports/blob-store.ts';
import { checkStore, keysOf, text, textOf } from './blob-store.fixture.ts';
import { openStore } from './open-store.ts';
import { FakeS3 } from './s3-server.fixture.ts';

const server = new FakeS3();
const environment = { AWS_ACCESS_KEY_ID: 'key-7f3a', AWS_SECRET_ACCESS_KEY: 'secret-9b1c' };
/** Tries as long as a busy machine may need. */
const patient = { limitMs: 30_000, firstPauseMs: 1, pauseMsMax: 10 };
/** For what fails for ever. */
const impatient = { ...patient, limitMs: 200 };
let endpoint = '';

before(async () => {
  endpoint = await server.start();
});
after(() => server.stop());
beforeEach(() => {
  server.fault = () => 'none';
  server.requests.length = 0;
});

function open(place: string, retry = patient): Promise<BlobStore> {
  return openStore(`s3://bucket/${place}?endpoint=${endpoint}`, environment, retry);
}

test('S3Store keeps the laws of a blob store', async (context) => {
  await checkStore(context, async (place) => {
    return { store: await open(place), another: await open(place) };
  });
});

test('S3Store tries again what failed for a moment', async () => {
  const store = await open('transient');
  let failures = 0;
  server.fault = () => {
    failures++;
    if (failures % 3 === 1) return { status: 503, code: 'SlowDown' };
    return failures % 3 === 2 ? 'before' : 'none';
  };
  await store.put('a', text('1'));
  assert.equal(textOf((await store.get('a'))!.bytes), '1');
  assert.equal(await store.create('b', text('2')), true);
  assert.deepEqual(await keysOf(store, ''), ['a', 'b']);
  await store.delete(['a', 'b']);
  assert.equal(await store.get('a'), null);
  assert.ok(failures >= 18, `${failures} requests`);
});

test('S3Store knows its own conditional write when the answer was lost', async () => {
  const store = await open('lost');
  const loseOne = (): void => {
    let lost = false;
    server.fault = (method) => {
      if (method !== 'PUT' || lost) return 'none';
      lost = true;
      return 'after';
    };
  };
  loseOne();
  assert.equal(await store.create('a', text('1')), true);
  loseOne();
  assert.equal(await store.create('a', text('1')), false, 'the same bytes, but not its own write');
  const { tag } = (await store.get('a'))!;
  loseOne();
  const next = await store.replace('a', text('2'), tag);
  assert.equal(next, (await store.get('a'))!.tag);
  loseOne();
  assert.equal(await store.replace('a', text('3'), tag), null);
  assert.equal(textOf((await store.get('a'))!.bytes), '2');
  assert.deepEqual(server.requests.filter((request) => request.startsWith('HEAD')).length, 4);
});

test('S3Store says what it tried, why it failed and what helps, and never a secret', async () => {
  const cases = [
    [403, 'AccessDenied', 'store-denied', 'check the keys'],
    [403, 'RequestTimeTooSkewed', 'store-denied', 'clock'],
    [404, 'NoSuchBucket', 'store-not-found', 'create the bucket "bucket"'],
    [301, 'PermanentRedirect', 'store-failed', 'region'],
    [507, 'XMinioStorageFull', 'store-full', 'free some space'],
    [501, 'NotImplemented', 'store-failed', 'conditional writes'],
    [500, 'InternalError', 'store-unreachable', 'try later'],
    [400, 'InvalidArgument', 'store-failed', 'refuses'],
  ] as const;
  const store = await open('errors', impatient);
  for (const [status, code, expected, hint] of cases) {
    server.fault = () => ({ status, code });
    const attempts = [
      () => store.get('a/b'),
      () => store.put('a/b', text('x')),
      () => store.create('a/b', text('x')),
      () => store.replace('a/b', text('x'), '"t"'),
      () => store.delete(['a/b']),
      () => keysOf(store, 'a/b'),
    ];
    for (const attempt of attempts) {
      await assert.rejects(attempt, (error) => {
        assert.ok(error instanceof StreamError, inspect(error));
        assert.equal(error.code, expected);
        assert.match(error.message, /could not \w+ "a\/b" in "s3:\/\/bucket\/errors\/": /);
        assert.ok(error.message.includes(`${code} (said <so>)`), error.message);
        assert.ok(error.hint?.includes(hint), error.hint);
        assertNoSecret(error);
        return true;
      });
    }
  }
});

test('S3Store says that nobody answers', async () => {
  const gone = new FakeS3();
  const address = `s3://bucket/p?endpoint=${await gone.start()}`;
  await gone.stop();
  const store = await openStore(address, environment, impatient);
  await assert.rejects(store.get('a'), (error) => {
    assert.ok(error instanceof StreamError);
    assert.equal(error.code, 'store-unreachable');
    assert.match(error.message, /could not read "a" in "s3:\/\/bucket\/p\/": ECONNREFUSED/);
    assertNoSecret(error);
    return true;
  });
});

test('S3Store lists only what can be its own', async () => {
  const store = await open('own');
  for (const key of ['own/a b', 'own/.hidden', 'own/a&b', 'own/x/', 'other/y']) server.plant(key);
  await store.put('z', text('1'));
  assert.deepEqual(await keysOf(store, ''), ['z']);
});

test('S3Store takes bytes in shared memory', async () => {
  const store = await open('shared');
  const shared = new Uint8Array(new SharedArrayBuffer(4));
  shared.set(text('text'));
  await store.put('a', shared);
  assert.equal(textOf((await store.get('a'))!.bytes), 'text');
});

function assertNoSecret(error: unknown): void {
  const everything = inspect(error, { depth: 20, showHidden: true });
  for (const secret of ['secret-9b1c', 'key-7f3a', 'AWS4-HMAC', 'Signature=']) {
    assert.ok(!everything.includes(secret), everything);
  }
}
