// A folder keeps the laws of every blob store, also between processes that are killed.

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { StreamError } from '../../base/stream-error.ts';
import { checkStore, keysOf, text, textOf } from './blob-store.fixture.ts';
import { DirectoryStore } from './directory-store.ts';

const base = mkdtempSync(join(tmpdir(), 'mizzle-store-'));
after(() => rmSync(base, { recursive: true }));

test('DirectoryStore keeps the laws of a blob store', async (context) => {
  await checkStore(context, (place) => {
    const folder = join(base, place);
    return { store: new DirectoryStore(folder), another: new DirectoryStore(folder) };
  });
});

test('DirectoryStore leaves nothing beside its blobs and drops old versions', async () => {
  const folder = join(base, 'tidy');
  const store = new DirectoryStore(folder);
  await store.create('k', text('0'));
  for (let round = 1; round <= 40; round++) {
    const { tag } = (await store.get('k'))!;
    assert.notEqual(await store.replace('k', text(String(round)), tag), null);
  }
  assert.equal(await store.create('k', text('x')), false);
  assert.deepEqual(readdirSync(join(folder, '.mizzle', 'aside')), []);
  assert.equal(readdirSync(join(folder, '.mizzle', 'versions', 'k')).length, 16);
  assert.equal(textOf((await store.get('k'))!.bytes), '40');
});

test('DirectoryStore: a writer that slept through many versions has not won', async () => {
  const folder = join(base, 'sleeper');
  const store = new DirectoryStore(folder);
  await store.create('k', text('0'));
  const { tag } = (await store.get('k'))!;
  // Between its look at the tag and its link others clean away the version that it wants to be: a
  // file takes its bytes from anything that can be iterated, and only when it is written.
  const whenWritten = async function* (): AsyncGenerator<Uint8Array> {
    for (let round = 1; round <= 20; round++) {
      await store.replace('k', text(String(round)), (await store.get('k'))!.tag);
    }
    yield text('stale');
  };
  const slow = new DirectoryStore(folder).replace('k', whenWritten() as never, tag);
  assert.equal(await slow, null);
  assert.equal(textOf((await store.get('k'))!.bytes), '20');
});

test('DirectoryStore loses no update of processes that are killed at any moment', async () => {
  const folder = join(base, 'killed');
  const store = new DirectoryStore(folder);
  await store.create('counter', text('0'));
  let acknowledged = 0;
  const run = async (killAfterMs: number | null): Promise<void> => {
    const child = spawn(process.execPath, [
      join(import.meta.dirname, 'count-up.fixture.ts'),
      folder,
    ]);
    child.stdout.on('data', (data: Buffer) => (acknowledged += data.length));
    const timer =
      killAfterMs === null ? null : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    await once(child, 'close');
    if (timer !== null) clearTimeout(timer);
  };
  await Promise.all([run(350), run(400), run(null)]);
  const counted = Number(textOf((await store.get('counter'))!.bytes));
  // A killed process may have made one more update than it could tell.
  assert.ok(acknowledged >= 60, `${acknowledged} updates`);
  assert.ok(counted >= acknowledged && counted <= acknowledged + 2, `${counted}, ${acknowledged}`);
  assert.deepEqual(await keysOf(store, ''), ['counter']);
});

test('DirectoryStore says what it tried and why it failed', async (context) => {
  const folder = join(base, 'file');
  writeFileSync(folder, '');
  await assert.rejects(
    new DirectoryStore(folder).put('a/b', text('x')),
    (error) => error instanceof StreamError && error.message.includes('could not write "a/b"'),
  );
  if (process.getuid?.() === 0) return context.skip('root may write everywhere');
  const closed = join(base, 'closed');
  mkdirSync(closed);
  chmodSync(closed, 0o500);
  await assert.rejects(
    new DirectoryStore(closed).put('a', text('x')),
    (error) => error instanceof StreamError && error.code === 'store-denied',
  );
});
