// Addresses of stores: what each means, and what is wrong with the others.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamError } from '../../base/stream-error.ts';
import { openStore, parseStoreAddress, redactedAddress } from './open-store.ts';

test('parseStoreAddress takes paths and file URLs', () => {
  assert.deepEqual(parseStoreAddress('data/x'), { kind: 'directory', folder: 'data/x' });
  assert.deepEqual(parseStoreAddress('/var/x'), { kind: 'directory', folder: '/var/x' });
  assert.deepEqual(parseStoreAddress('file:///var/a%20b'), {
    kind: 'directory',
    folder: '/var/a b',
  });
});

test('parseStoreAddress takes buckets, with a region or an endpoint', () => {
  const amazon = parseStoreAddress('s3://my-bucket?region=eu-west-1');
  assert.deepEqual(amazon.kind === 's3' && amazon.location, {
    bucket: 'my-bucket',
    prefix: '',
    endpoint: null,
    region: 'eu-west-1',
    pathStyle: false,
  });
  const own = parseStoreAddress('s3://b-1/jobs/prod/?endpoint=http://10.0.0.1:9000', {
    AWS_REGION: 'r',
  });
  assert.deepEqual(own.kind === 's3' && own.location, {
    bucket: 'b-1',
    prefix: 'jobs/prod/',
    endpoint: 'http://10.0.0.1:9000',
    region: 'r',
    pathStyle: true,
  });
  const dotted = parseStoreAddress('s3://a.b.c?region=x');
  assert.ok(dotted.kind === 's3' && dotted.location.pathStyle, 'no certificate has two levels');
});

test('parseStoreAddress says what is wrong, and shows no parameter', () => {
  const cases = [
    ['', 'it is empty'],
    ['gs://bucket', '"gs" is not known'],
    ['s3://bucket', 'it says no region'],
    ['s3://Bucket_x?region=a', 'is no name of a bucket'],
    ['s3://b-1?regin=a', 'did you mean "region"?'],
    ['s3://b-1?region=a&endpoint=ftp://x', 'its endpoint'],
    ['s3://b-1?region=a&endpoint=http://x/path', 'its endpoint'],
    ['s3://b-1?region=a&path-style=maybe', 'path-style is "maybe"'],
    ['s3://key:hunter2@b-1?region=a', 'keys do not belong into an address'],
    ['file://host/x', 'it is no path on this machine'],
  ] as const;
  for (const [address, problem] of cases) {
    assert.throws(
      () => parseStoreAddress(address),
      (error) => {
        assert.ok(error instanceof StreamError && error.code === 'store-url-invalid', address);
        assert.ok(error.message.includes(problem), error.message);
        assert.ok(!JSON.stringify(error.fields).includes('hunter2'));
        assert.ok(!error.message.includes('hunter2'));
        return true;
      },
    );
  }
  assert.equal(redactedAddress('s3://a:b@bucket/p?region=x'), 's3://…@bucket/p');
});

test('openStore takes keys from the variables that the address names', async () => {
  const address = 's3://b-1?region=a&access-key-env=ID&secret-key-env=SECRET';
  await assert.rejects(
    openStore(address, { ID: 'x' }),
    (error) =>
      error instanceof StreamError &&
      error.code === 'store-denied' &&
      error.message.includes('the environment has no "SECRET"'),
  );
  const store = await openStore(address, { ID: 'x', SECRET: 'y' });
  assert.equal(store.description, 's3://b-1/');
});
