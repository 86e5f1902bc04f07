// Both range logs keep the laws; what each does with damage.

import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { StreamError } from '../../base/stream-error.ts';
import { isFenced } from '../../control/storage/storage-errors.ts';
import type { StoredBlob } from '../../ports/blob-store.ts';
import { SimulatedBlobStore } from '../../sim/simulated-blob-store.ts';
import { SimulatedStore } from '../../sim/simulated-store.ts';
import { DirectoryStore } from './directory-store.ts';
import { FileRangeLog } from './file-range-log.ts';
import { JoinedRangeLog } from './joined-range-log.ts';
import { ObjectRangeLog } from './object-range-log.ts';
import { checkLog, range } from './range-log.fixture.ts';

const base = mkdtempSync(join(tmpdir(), 'mizzle-log-'));
after(() => rmSync(base, { recursive: true }));

const hour = 60 * 60 * 1000;

test('FileRangeLog keeps the laws of a range log', async (context) => {
  await checkLog(context, (place) => {
    const folder = join(base, place);
    return { log: new FileRangeLog(folder), another: new FileRangeLog(folder) };
  });
});

test('ObjectRangeLog keeps the laws of a range log, over memory', async (context) => {
  await checkLog(context, () => {
    const store = new SimulatedBlobStore();
    const open = (): ObjectRangeLog => new ObjectRangeLog(store, 'p/log/', () => 0);
    return { log: open(), another: open() };
  });
});

test('ObjectRangeLog keeps the laws of a range log, over a folder', async (context) => {
  await checkLog(context, (place) => {
    const open = (): ObjectRangeLog =>
      new ObjectRangeLog(new DirectoryStore(join(base, place)), 'p/log/', Date.now);
    return { log: open(), another: open() };
  });
});

test('JoinedRangeLog keeps the laws of a range log, and reads both kinds', async (context) => {
  const kinds = (place: string): readonly [FileRangeLog, ObjectRangeLog] => {
    const store = new DirectoryStore(join(base, place));
    const files = new FileRangeLog(join(base, place, 'p', 'log-files'));
    return [files, new ObjectRangeLog(store, 'p/log/', Date.now)];
  };
  await checkLog(context, (place) => {
    const [files, objects] = kinds(place);
    return {
      log: new JoinedRangeLog(files, [objects]),
      another: new JoinedRangeLog(files, [objects]),
    };
  });
  const [files, objects] = kinds('both');
  const first = new JoinedRangeLog(files, [objects]);
  const [former, next] = [
    first.writer('t1', 1),
    new JoinedRangeLog(objects, [files]).writer('t2', 2),
  ];
  await former.append([range(0, 0), range(1, 0)]);
  const second = new JoinedRangeLog(objects, [files]);
  assert.deepEqual(await second.writers(), ['t1']);
  await second.seal('t1');
  await next.append([range(1, 0), range(2, 0)]);
  await assert.rejects(former.append([range(2, 0)]), isFenced);
  assert.deepEqual(await first.read(-1), [range(0, 0), range(1, 0), range(2, 0)]);
  await Promise.all([former.close(), next.close()]);
});

test('FileRangeLog ignores a torn end, and refuses damage in the middle', async () => {
  const folder = join(base, 'torn');
  const log = new FileRangeLog(folder);
  const writer = log.writer('w', 1);
  for (let batch = 0; batch < 3; batch++) await writer.append([range(batch, 0)]);
  await writer.close();
  const path = join(folder, 'w', '000000000000.log');
  const whole = statSync(path).size;

  truncateSync(path, whole - 5);
  assert.equal((await log.read(-1)).length, 2);
  appendFileSync(path, new Uint8Array(100));
  assert.equal((await log.read(-1)).length, 2);
  await log.seal('w');
  assert.equal((await log.read(-1)).length, 2);

  const bytes = readFileSync(path);
  bytes[20]! ^= 1;
  writeFileSync(path, bytes);
  await assert.rejects(log.read(-1), isDamage);
  rmSync(join(folder, 'w', 'seal'));
  await assert.rejects(log.read(-1), isDamage, 'a whole frame follows: it was no torn end');
});

test('FileRangeLog: a driver that died while sealing leaves the writer fenced', async () => {
  const folder = join(base, 'half-sealed');
  const log = new FileRangeLog(folder);
  const writer = log.writer('w', 1);
  await writer.append([range(0, 0)]);
  writeFileSync(join(folder, 'w', 'closing'), '');
  await assert.rejects(writer.append([range(1, 0)]), isFenced);
  await log.seal('w');
  const sealed = await log.read(-1);
  assert.ok(sealed.length >= 1);
  assert.deepEqual(await log.read(-1), sealed);
  await writer.close();
});

test('FileRangeLog goes on in a new segment, and releases whole ones', async () => {
  const folder = join(base, 'segments');
  const log = new FileRangeLog(folder);
  const writer = log.writer('w', 1);
  const large = (batch: number) => ({ ...range(batch, 0), record: new Uint8Array(400_000) });
  for (let batch = 0; batch < 8; batch++) await writer.append([large(batch)]);
  assert.equal((await log.read(-1)).length, 8);
  await log.release(4);
  assert.deepEqual(
    (await log.read(-1)).map(({ batch }) => batch),
    [3, 4, 5, 6, 7],
  );
  await writer.append([large(8)]);
  await writer.append([large(9)]);
  await writer.close();
  rmSync(join(folder, 'w', '000000000002.log'));
  await assert.rejects(log.read(-1), isDamage);
});

test('ObjectRangeLog refuses a gap and a damaged object', async () => {
  const core = new SimulatedStore();
  const log = new ObjectRangeLog(new SimulatedBlobStore(core), 'p/log/', () => 0);
  const writer = log.writer('w', 1);
  for (let batch = 0; batch < 6; batch++) await writer.append([range(batch, 0)]);
  const key = 'p/log/w/000000000003';
  const { bytes } = core.get(key)!;
  core.delete([key]);
  await assert.rejects(log.read(-1), isDamage);
  bytes[12]! ^= 1;
  core.put(key, bytes);
  await assert.rejects(log.read(-1), isDamage);
});

test('ObjectRangeLog seals a writer that is faster than the driver', async () => {
  const core = new SimulatedStore();
  const log = new ObjectRangeLog(new SimulatedBlobStore(core), 'p/log/', () => 0);
  const writer = log.writer('w', 1);
  let batch = 0;
  let isWriting = false;
  // Whenever the driver is about to change something, the writer has appended once more.
  const slow = Object.assign(new SimulatedBlobStore(core), {
    create: async (key: string, bytes: Uint8Array): Promise<boolean> => {
      isWriting = true;
      await writer.append([range(batch++, 0)]).catch(() => (isWriting = false));
      return core.create(key, bytes);
    },
  });
  await new ObjectRangeLog(slow, 'p/log/', () => 0).seal('w');
  await assert.rejects(writer.append([range(batch++, 0)]), isFenced);
  const found = await log.read(-1);
  assert.ok(isWriting || found.length < batch);
  assert.ok(found.length > 1 && found.length < 10, `${found.length} appends came first`);
  await log.seal('w');
  assert.deepEqual(await log.read(-1), found);
});

test('ObjectRangeLog: the next driver finishes a seal that its predecessor began', async () => {
  for (let diesAfter = 0; diesAfter < 6; diesAfter++) {
    const core = new SimulatedStore();
    const log = new ObjectRangeLog(new SimulatedBlobStore(core), 'p/log/', () => 0);
    const writer = log.writer('w', 1);
    for (let batch = 0; batch < 3; batch++) await writer.append([range(batch, 0)]);
    let changes = 0;
    const dying = Object.assign(new SimulatedBlobStore(core), {
      create: async (key: string, bytes: Uint8Array): Promise<boolean> => {
        if (changes === diesAfter) throw new Error('the driver died');
        // The writer comes first twice, so that the seal must go ahead of it.
        if (changes++ < 2) await writer.append([range(2 + changes, 0)]);
        return core.create(key, bytes);
      },
    });
    await new ObjectRangeLog(dying, 'p/log/', () => 0).seal('w').catch(() => {});
    const before = await log.read(-1);
    await log.release(100);
    await log.seal('w');
    await assert.rejects(writer.append([range(99, 0)]), isFenced, `died after ${diesAfter}`);
    assert.ok(before.length >= 3);
    const sealed = await log.read(-1);
    await log.seal('w');
    assert.deepEqual(await log.read(-1), sealed);
  }
});

test('ObjectRangeLog forgets a seal only when its writer cannot matter any more', async () => {
  let nowMs = 0;
  const core = new SimulatedStore(() => nowMs);
  const log = new ObjectRangeLog(new SimulatedBlobStore(core), 'p/log/', () => nowMs);
  const writer = log.writer('w', 1);
  for (let batch = 0; batch < 6; batch++) await writer.append([range(batch, 0)]);
  await log.seal('w');
  nowMs = 23 * hour;
  await log.release(5);
  assert.deepEqual(
    core.list('').map(({ key }) => key),
    ['p/log/w/000000000007'],
  );
  await assert.rejects(writer.append([range(6, 0)]), isFenced);
  nowMs = 25 * hour;
  await log.release(5);
  assert.deepEqual(core.list(''), []);
});

test('ObjectRangeLog settles a write that was given up before it goes on', async () => {
  const core = new SimulatedStore();
  const store = new SimulatedBlobStore(core);
  let failing: 'before' | 'after' | null = null;
  const unreliable = Object.assign(new SimulatedBlobStore(core), {
    create: async (key: string, bytes: Uint8Array): Promise<boolean> => {
      const how = failing;
      failing = null;
      if (how === 'before') throw new Error('the request was lost');
      const created = await store.create(key, bytes);
      if (how === 'after') throw new Error('the answer was lost');
      return created;
    },
  });
  const log = new ObjectRangeLog(unreliable, 'p/log/', () => 0);
  const writer = log.writer('w', 1);
  let batch = 0;
  for (const how of ['before', 'after'] as const) {
    await writer.append([range(batch++, 0)]);
    failing = how;
    await assert.rejects(writer.append([range(batch++, 0)]));
  }
  await writer.append([range(batch++, 0)]);
  assert.deepEqual(
    (await log.read(-1)).map((found) => found.batch),
    [0, 1, 2, 3, 4],
  );
});

function isDamage(error: unknown): boolean {
  return error instanceof StreamError && error.code === 'range-log-damaged';
}

/** Counts what is asked for. */
class CountingStore extends SimulatedBlobStore {
  gets = 0;

  override get(key: string): Promise<StoredBlob | null> {
    this.gets++;
    return super.get(key);
  }
}

test('ObjectRangeLog asks no more for what a sealed writer has not left', async () => {
  const store = new CountingStore();
  const log = new ObjectRangeLog(store, 'p/log/', () => 0);
  for (let loss = 0; loss < 30; loss++) {
    const writer = log.writer(`t1-w0-i${loss}`, 1);
    await writer.append([range(0, 0)]);
    await log.seal(`t1-w0-i${loss}`);
    await writer.close();
  }
  await log.release(0);
  assert.deepEqual(await log.read(0), []);
  store.gets = 0;
  const living = log.writer('t1-w0-i30', 1);
  await living.append([range(1, 0)]);
  assert.deepEqual(await log.read(0), [range(1, 0)]);
  await log.release(0);
  assert.ok(store.gets <= 6, `${store.gets} reads`);
  await living.close();
});
