// `mizzle checkpoints` as a process, over a folder with whole and damaged checkpoints.

import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { checkpointContent } from '../../src/control/storage/checkpoints.fixture.ts';
import type { StateObject } from '../../src/control/protocol/checkpoint-manifest.ts';
import { CheckpointStore } from '../../src/runtime/storage/checkpoint-store.ts';
import { DirectoryStore } from '../../src/runtime/storage/directory-store.ts';
import { mizzle, temporaryFolder } from './process.fixture.ts';
import type { Ended, Folder } from './process.fixture.ts';

let folder: Folder;
const objects: StateObject[] = [];

before(async () => {
  folder = temporaryFolder();
  const store = new DirectoryStore(join(folder.path, 'store'));
  for (const pipeline of ['clicks', 'page views']) {
    const warn = (text: string): void => assert.fail(text);
    const checkpoints = new CheckpointStore(store, {
      pipeline,
      nowMs: () => 1_767_225_600_000,
      warn,
    });
    const chain = await checkpoints.open({ term: 1, holder: 'a' });
    for (const batch of [4, 9, 14]) {
      const object = await checkpoints.writeState(
        { term: 1, worker: 0, incarnation: 0 },
        { stage: 1, partition: 0, batch, kind: 'base' },
        new Uint8Array(2000),
      );
      if (pipeline === 'clicks') objects.push(object);
      const savepoint = batch === 4 ? 'before upgrade' : null;
      await chain.commit(checkpointContent(batch, [object], savepoint));
    }
  }
});

after(() => folder.remove());

async function run(...args: readonly string[]): Promise<Ended> {
  return mizzle(['checkpoints', ...args], { cwd: folder.path });
}

test('mizzle checkpoints lists, shows, verifies, and tells what is damaged', async () => {
  const [list, listJson, show, showNumber, several, verify] = await Promise.all([
    run('list', '--store', 'store'),
    run('list', '--store', 'store', '--pipeline', 'clicks', '--json'),
    run('show', '--store', 'store', '--pipeline', 'page views'),
    run('show', '2', '--store', 'store', '--pipeline', 'clicks', '--json'),
    run('show', '--store', 'store'),
    run('verify', '--store', 'store'),
  ]);
  assert.equal(list.code, 0, list.stderr);
  assert.match(list.stdout, /^pipeline +number +batch +term/m);
  assert.match(
    list.stdout,
    /^clicks +2 +4 +1 +1 +2\.0 KiB +2026-01-01T00:00:00\.000Z +savepoint "before upgrade"$/m,
  );
  assert.equal(list.stdout.match(/^page views /gm)?.length, 3);
  const lines = listJson.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ batch, bytes }) => [batch, bytes]),
    [
      [4, 2000],
      [9, 2000],
      [14, 2000],
    ],
  );
  assert.match(show.stdout, /^checkpoint 4 of "page views"$/m);
  assert.match(show.stdout, /^ {2}aggregate-1 \(aggregate\)$/m);
  assert.match(show.stdout, /^sink sink-1, visible through 0: 13$/m);
  assert.equal(JSON.parse(showNumber.stdout).savepoint, 'before upgrade');
  assert.equal(several.code, 2);
  assert.match(several.stderr, /give --pipeline, one of "clicks", "page views"/);
  assert.equal(verify.code, 0, verify.stdout);
  assert.match(verify.stdout, /6 of 6 checkpoints in .* are whole/);

  truncateSync(join(folder.path, 'store', 'clicks', 'manifests', '000000000004.json'), 50);
  writeFileSync(
    join(folder.path, 'store', 'clicks', objects[1]!.key),
    new Uint8Array(2000).fill(1),
  );
  const [damaged, newest] = await Promise.all([
    run('verify', '--store', 'store', '--pipeline', 'clicks'),
    run('show', '--store', 'store', '--pipeline', 'clicks'),
  ]);
  assert.equal(damaged.code, 1);
  assert.match(damaged.stdout, /^DAMAGED {2}clicks\/manifests\/000000000004\.json$/m);
  assert.match(damaged.stdout, /^DAMAGED {2}clicks 3\n.*does not match its checksum$/m);
  assert.match(damaged.stdout, /^whole {4}clicks 2$/m);
  assert.match(newest.stdout, /^checkpoint 3 of "clicks"$/m);
  assert.match(newest.stderr, /^warning: "clicks\/manifests\/000000000004\.json": passed over/m);
});

test('mizzle checkpoints delete gives a savepoint up, and nothing else', async () => {
  const checkpoints = new CheckpointStore(new DirectoryStore(join(folder.path, 'kept')), {
    pipeline: 'clicks',
    nowMs: Date.now,
    warn: (text) => assert.fail(text),
  });
  const chain = await checkpoints.open({ term: 1, holder: 'a' });
  for (const batch of [4, 9, 14, 19, 24]) {
    await chain.commit(checkpointContent(batch, [], batch === 4 ? 'before-upgrade' : null));
  }
  const given = await run('delete', 'before-upgrade', '--store', 'kept');
  assert.equal(given.code, 0, given.stderr);
  assert.match(given.stdout, /"before-upgrade" of "clicks" is kept no more: it is gone/);
  assert.deepEqual(
    (await checkpoints.list()).map(({ batch }) => batch),
    [14, 19, 24],
  );
  const [again, other, nothing] = await Promise.all([
    run('delete', 'before-upgrade', '--store', 'kept'),
    run('delete', '6', '--store', 'kept'),
    run('delete', '--store', 'kept'),
  ]);
  assert.deepEqual([again.code, other.code, nothing.code], [1, 1, 2]);
  assert.match(again.stderr, /error \[checkpoint-not-found\]/);
  assert.match(other.stderr, /error \[no-savepoint\]/);
});

test('mizzle checkpoints says what is wrong with the command line or the store', async () => {
  const [noStore, noAction, unknown, empty, missing, address] = await Promise.all([
    run('list'),
    run('--store', 'store'),
    run('lsit', '--store', 'store'),
    run('list', '--store', 'elsewhere'),
    run('show', '--store', 'elsewhere'),
    run('list', '--store', 's3://b-1?regio=x'),
  ]);
  assert.deepEqual(
    [noStore, noAction, unknown].map(({ code }) => code),
    [2, 2, 2],
  );
  assert.match(noStore.stderr, /--store is missing/);
  assert.match(unknown.stderr, /could not find "checkpoints lsit"/);
  assert.deepEqual([empty.code, missing.code, address.code], [0, 1, 1]);
  assert.match(empty.stdout, /no checkpoints in .*elsewhere/);
  assert.match(missing.stderr, /error \[checkpoint-not-found\]/);
  assert.match(address.stderr, /error \[store-url-invalid\].*did you mean "region"/s);
});
