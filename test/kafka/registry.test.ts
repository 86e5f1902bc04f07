// The formats against a real registry, Apicurio by Confluent's API: a JVM of its own for this file.
// Its archive has 140 MB, so it is fetched only where MIZZLE_REQUIRE_REGISTRY=1 asks for it.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { avro } from '../../src/connectors/kafka/formats/avro.ts';
import { protobuf } from '../../src/connectors/kafka/formats/protobuf.ts';
import { SchemaRegistry } from '../../src/connectors/kafka/formats/schema-registry.ts';
import { float64, int32, int64, string } from '../../src/schema/column-type.ts';
import type { RowObject } from '../../src/schema/data-type.ts';
import { schema } from '../../src/schema/schema.ts';

const version = '2.6.13.Final';
const name = `apicurio-registry-app-${version}`;
const home = process.env['MIZZLE_REGISTRY_HOME'] ?? join(tmpdir(), `mizzle-${name}`);
const jar = join(home, `${name}-runner.jar`);
const startMsMax = 120_000;
const copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy';
const flags = ['-Xmx320m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

const skip = missing();
let server: ChildProcess | null = null;
let url = '';

function missing(): string | false {
  const isRequired = process.env['MIZZLE_REQUIRE_REGISTRY'] === '1';
  if (!existsSync(jar) && isRequired) {
    mkdirSync(home, { recursive: true });
    const artifact = `-Dartifact=io.apicurio:apicurio-registry-app:${version}:zip:all`;
    run('mvn', ['-B', '-q', copy, artifact, `-DoutputDirectory=${home}`]);
    run('unzip', ['-q', '-o', join(home, `${name}-all.zip`), '-d', home]);
  }
  const hasJava = spawnSync('java', ['-version']).status === 0;
  if (existsSync(jar) && hasJava) return false;
  const why = hasJava ? `${jar} is not there; MIZZLE_REQUIRE_REGISTRY=1 fetches it` : 'no java';
  if (isRequired) throw new Error(`no schema registry here: ${why}`);
  const message = `NO SCHEMA REGISTRY HERE, tests against a real one do not run: ${why}`;
  process.stderr.write(`${message}\n`);
  return message;
}

function run(program: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr}`);
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done) => probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address() as AddressInfo;
  await new Promise((done) => probe.close(done));
  return port;
}

before(async () => {
  if (skip !== false) return;
  const port = await freePort();
  const at = ['-Dquarkus.http.host=127.0.0.1', `-Dquarkus.http.port=${port}`];
  server = spawn('java', [...flags, ...at, '-jar', jar], { stdio: 'ignore' });
  url = `http://127.0.0.1:${port}/apis/ccompat/v7`;
  for (const startMs = performance.now(); performance.now() - startMs < startMsMax;) {
    const isUp = await fetch(`${url}/subjects`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return;
    await sleep(250);
  }
  throw new Error('the registry did not come up');
});

after(() => {
  server?.kill('SIGKILL');
});

test('Avro goes through a real registry and back', { skip }, async () => {
  const format = avro({ registry: { url }, register: true });
  const use = {
    topic: 'orders',
    part: 'value',
    schema: schema({ id: int64(), user: { name: string() }, price: float64().nullable() }),
  } as const;
  const row: RowObject = { id: 2n ** 63n - 1n, 'user.name': 'é', price: null };
  const writer = format.encoder(use);
  await writer.prepare();
  const bytes = writer.encode(row);
  const reader = format.decoder(use);
  await reader.prepare(bytes);
  assert.deepEqual(reader.decode(bytes), row);
  const latest = avro({ registry: { url } }).encoder(use);
  await latest.prepare();
  assert.deepEqual(latest.encode(row), bytes, 'its latest is the one registered, by the same id');
});

test('Protobuf with an import goes through a real registry and back', { skip }, async () => {
  const client = new SchemaRegistry({ url });
  const thing = 'syntax = "proto3"; package other; message Thing { string name = 1; }';
  await client.register('thing', { type: 'PROTOBUF', text: thing });
  const proto = `syntax = "proto3"; package shop; import "other.proto";
    message First { int32 a = 1; }
    message Order { int64 id = 1; other.Thing thing = 2; }`;
  const references = [{ name: 'other.proto', subject: 'thing', version: 1 }];
  const options = { registry: { url }, proto, references, message: 'Order', register: true };
  const columns = schema({ id: int64(), thing: { name: string().nullable() } });
  const use = { topic: 'protos', part: 'value', schema: columns } as const;
  const row: RowObject = { id: -(2n ** 63n), 'thing.name': 'x' };
  const writer = protobuf(options).encoder(use);
  await writer.prepare();
  const bytes = writer.encode(row);
  const reader = protobuf({ registry: { url } }).decoder(use);
  await reader.prepare(bytes);
  assert.deepEqual(reader.decode(bytes), row);
});

test('a real registry says what it does not know', { skip }, async () => {
  const client = new SchemaRegistry({ url });
  await assert.rejects(client.schemaById(999_999), { code: 'schema-unknown' });
  await assert.rejects(client.latest('nobody'), { code: 'subject-unknown' });
  const int = { type: 'AVRO', text: '"int"' } as const;
  await assert.rejects(client.lookUp('nobody', int), { code: 'subject-unknown' });
  const use = { topic: 'new', part: 'value', schema: schema({ a: int32() }) } as const;
  const given = { type: 'record', name: 'R', fields: [{ name: 'a', type: 'int' }] };
  const writer = avro({ registry: { url }, schema: given, register: true }).encoder(use);
  await writer.prepare();
  const again = avro({ registry: { url }, schema: given }).encoder(use);
  await again.prepare();
  assert.deepEqual(again.encode({ a: 1 }), writer.encode({ a: 1 }));
  await assert.rejects(
    client.register('new-value', { type: 'AVRO', text: '{"type":"nonsense"}' }),
    {
      code: 'schema-refused',
    },
  );
});
