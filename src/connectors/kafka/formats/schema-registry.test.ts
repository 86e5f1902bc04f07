import assert from 'node:assert/strict';
import process from 'node:process';
import { test } from 'node:test';
import { RegistryStub } from './registry-stub.fixture.ts';
import { SchemaRegistry } from './schema-registry.ts';

const order = { type: 'record', name: 'Order', fields: [{ name: 'id', type: 'long' }] };

async function stub(): Promise<RegistryStub> {
  const made = new RegistryStub();
  await made.listen();
  return made;
}

test('a schema is asked for once, also by many at once (stub of the contract)', async () => {
  await using registry = await stub();
  const id = registry.add('orders-value', order);
  const client = new SchemaRegistry({ url: `${registry.url}/` });
  const all = await Promise.all([1, 2, 3].map(() => client.schemaById(id)));
  assert.deepEqual(all[2], { id, type: 'AVRO', text: JSON.stringify(order), references: [] });
  await client.schemaById(id);
  assert.deepEqual(
    registry.seen.map(({ path }) => path),
    [`/schemas/ids/${id}`],
  );
});

test('references come before what refers to them (stub of the contract)', async () => {
  await using registry = await stub();
  registry.add('a', '"string"');
  registry.add('b', '"int"', { references: [{ name: 'A', subject: 'a', version: 1 }] });
  const references = [
    { name: 'B', subject: 'b', version: 1 },
    { name: 'A', subject: 'a', version: 1 },
  ];
  const id = registry.add('c', '"long"', { references });
  const found = await new SchemaRegistry({ url: registry.url }).schemaById(id);
  assert.deepEqual(found.references, [
    { name: 'A', text: '"string"' },
    { name: 'B', text: '"int"' },
  ]);
});

test('references that are a ring end (stub of the contract)', async () => {
  await using registry = await stub();
  registry.add('a', '"string"', { references: [{ name: 'A', subject: 'a', version: 1 }] });
  const found = await new SchemaRegistry({ url: registry.url }).latest('a');
  assert.equal(found.references.length, 1);
});

test('a registry that comes up late is waited for (stub of the contract)', async () => {
  const probe = await stub();
  const { port } = probe;
  await probe[Symbol.asyncDispose]();
  const client = new SchemaRegistry({ url: `http://127.0.0.1:${port}`, patienceMs: 20_000 });
  const latest = client.latest('orders-value');
  await new Promise((done) => setTimeout(done, 200));
  await using registry = new RegistryStub();
  const id = registry.add('orders-value', order);
  await registry.listen(port);
  assert.equal((await latest).id, id);
});

test('failures are tried again, but not for ever (stub of the contract)', async () => {
  await using registry = await stub();
  const id = registry.add('orders-value', order);
  registry.failures.push(503, 429, 500);
  assert.equal((await new SchemaRegistry({ url: registry.url }).schemaById(id)).id, id);
  assert.equal(registry.seen.length, 4);
  registry.failures.push(...Array.from({ length: 50 }, () => 503));
  const client = new SchemaRegistry({ url: registry.url, patienceMs: 300 });
  await assert.rejects(client.schemaById(id), {
    code: 'registry-unreachable',
    message: `could not find the schema ${id} at the registry ${registry.url}: not now, for 300 ms`,
  });
  registry.failures.length = 0;
  assert.equal((await client.schemaById(id)).id, id, 'a failure is not kept');
});

test('one of several addresses that answers will do (stub of the contract)', async () => {
  await using registry = await stub();
  const id = registry.add('orders-value', order);
  const dead = await stub();
  const { url } = dead;
  await dead[Symbol.asyncDispose]();
  const client = new SchemaRegistry({ url: `${url}, ${registry.url}` });
  assert.equal((await client.schemaById(id)).id, id);
});

test('logins are sent, and never said (stub of the contract)', async () => {
  await using registry = await stub();
  const id = registry.add('orders-value', order);
  registry.authorization = `Basic ${Buffer.from('me:s3cret').toString('base64')}`;
  process.env['TEST_REGISTRY_PASSWORD'] = 's3cret';
  const auth = { username: 'me', password: { env: 'TEST_REGISTRY_PASSWORD' } };
  assert.equal((await new SchemaRegistry({ url: registry.url, auth }).schemaById(id)).id, id);
  registry.authorization = 'Bearer t0ken';
  const bearer = { token: 't0ken' };
  assert.equal(
    (await new SchemaRegistry({ url: registry.url, auth: bearer }).latest('orders-value')).id,
    id,
  );
  await assert.rejects(new SchemaRegistry({ url: registry.url, auth }).schemaById(id), (error) => {
    assert.equal((error as { readonly code?: string }).code, 'registry-login');
    assert.doesNotMatch(`${String(error)} ${JSON.stringify(error)}`, /s3cret/);
    return true;
  });
  delete process.env['TEST_REGISTRY_PASSWORD'];
  await assert.rejects(new SchemaRegistry({ url: registry.url, auth }).schemaById(id), {
    code: 'environment-missing',
  });
});

test('an address with a login in it is refused, without saying it', async () => {
  const client = new SchemaRegistry({ url: 'https://me:s3cret@registry:8081' });
  await assert.rejects(client.schemaById(1), (error) => {
    assert.equal((error as { readonly code?: string }).code, 'option-invalid');
    assert.doesNotMatch(String(error), /s3cret/);
    return true;
  });
});

test('what is not there has codes of its own (stub of the contract)', async () => {
  await using registry = await stub();
  const client = new SchemaRegistry({ url: registry.url });
  await assert.rejects(client.schemaById(7), { code: 'schema-unknown' });
  await assert.rejects(client.latest('none'), { code: 'subject-unknown' });
  const schema = { type: 'AVRO', text: '"int"' } as const;
  await assert.rejects(client.lookUp('none', schema), { code: 'subject-unknown' });
  registry.failures.push(409);
  await assert.rejects(client.register('orders-value', schema), { code: 'schema-refused' });
  registry.failures.push(403);
  await assert.rejects(client.schemaById(7), { code: 'registry-permission' });
  registry.failures.push(418);
  await assert.rejects(client.schemaById(7), { code: 'registry-refused' });
});

test('registering the same schema again gives the same id (stub of the contract)', async () => {
  await using registry = await stub();
  const client = new SchemaRegistry({ url: registry.url });
  const schema = { type: 'AVRO', text: JSON.stringify(order) } as const;
  const id = await client.register('shop/orders-value', schema);
  assert.equal(await client.register('shop/orders-value', schema), id);
  assert.equal((await client.lookUp('shop/orders-value', schema)).id, id);
  assert.equal((await client.latest('shop/orders-value')).text, schema.text);
});
