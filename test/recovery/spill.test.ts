// Workers that have no memory for what they keep: it goes to disk, is read back for those who take
// over, and leaves nothing behind. Checkpoints come only where groups end, which is never here,
// unless a worker runs out of its disk, too.

import assert from 'node:assert/strict';
import { closeSync, existsSync, fstatSync, openSync } from 'node:fs';
import { readdirSync, readlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { RunOptions } from '../../src/index.ts';
import { endAll, Process } from '../cluster/processes.fixture.ts';
import { Feed, rowsOf } from './feed.fixture.ts';
import type { RecoveryJob } from './orders.fixture.ts';
import { assertExact, breakAt, freshPath } from './orders.fixture.ts';

after(endAll);

const linux = process.platform === 'linux';
const program = join(import.meta.dirname, 'spill.fixture.ts');

type Kept = { keptBytes: number; spilledBytes: number; inputHeldBack: boolean };

function start(job: RecoveryJob, options: RunOptions): Process {
  return new Process([program, JSON.stringify(job), JSON.stringify(options)]);
}

function saidBy({ stdout }: Process): readonly Kept[] {
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Kept);
}

function lastOf(run: Process): Kept {
  return saidBy(run).at(-1) ?? { keptBytes: 0, spilledBytes: 0, inputHeldBack: false };
}

/** Files of the spill folder that a process has open, though they have no name. */
function openIn(folder: string, { child }: Process): readonly string[] {
  const open = `/proc/${child.pid}/fd`;
  const paths = readdirSync(open).map((fd) => join(open, fd));
  return paths.filter((path) => {
    try {
      return readlinkSync(path).startsWith(`${folder}/`);
    } catch {
      return false;
    }
  });
}

function damage(path: string): void {
  const file = openSync(path, 'r+');
  const { size } = fstatSync(file);
  writeSync(file, new Uint8Array(size).fill(7), 0, size, 0);
  closeSync(file);
}

function setting(): { feed: Feed; out: string; store: string; folder: string } {
  return {
    feed: new Feed(),
    out: freshPath('/'),
    store: freshPath('.store'),
    folder: freshPath('-spill'),
  };
}

const pace = { interval: '5ms', groupSize: 100_000 } as const;

describe('spilling', { concurrency: 2 }, () => {
  for (const [who, workers] of [
    ['thread', { workers: 3 }],
    ['process', { hosts: 3, workers: 1 }],
  ] as const) {
    test(`a ${who} that ends while what it needs is on disk changes nothing`, async () => {
      const { feed, out, store, folder } = setting();
      const from = { growing: feed.paths };
      const job = { out, from, breaks: [breakAt(5_000, who), breakAt(8_001, who)] };
      const kept = { store, interval: '10m', keptMemory: 1, spillFolder: folder } as const;
      const run = start(job, { ...workers, ...pace, checkpoints: kept });
      feed.feed(4_000);
      await feed.waitFor(() => rowsOf(job) > 0 && lastOf(run).spilledBytes > 0, run);
      assert.deepEqual(readdirSync(folder), [], 'files have no names that could stay behind');
      if (linux && who === 'thread') assert.ok(openIn(folder, run).length > 0);
      feed.feed(5_000);
      await feed.finish(run, job);
      assertExact(job, feed.truth(job));
      const all = saidBy(run);
      const keptMax = Math.max(...all.map(({ keptBytes }) => keptBytes));
      const spilledMax = Math.max(...all.map(({ spilledBytes }) => spilledBytes));
      assert.ok(keptMax < spilledMax / 2, `${keptMax} bytes in memory, ${spilledMax} on disk`);
      assert.deepEqual(readdirSync(folder), []);
    });
  }

  test('what a damaged disk has lost is made anew', { skip: !linux }, async () => {
    const { feed, out, store, folder } = setting();
    const job = { out, from: { growing: feed.paths }, breaks: [breakAt(5_000, 'thread')] };
    const kept = { store, interval: '10m', keptMemory: 1, spillFolder: folder } as const;
    const run = start(job, { workers: 3, ...pace, checkpoints: kept });
    feed.feed(4_000);
    await feed.waitFor(() => rowsOf(job) > 0 && lastOf(run).spilledBytes > 0, run);
    for (const path of openIn(folder, run)) damage(path);
    feed.feed(5_000);
    await run.says(
      /could not read back \d+ bytes at .*checksum; the worker begins anew; check that/,
    );
    await feed.finish(run, job);
    assertExact(job, feed.truth(job));
  });

  test('a full disk holds input back until a checkpoint makes room', async () => {
    const { feed, out, store, folder } = setting();
    const job = { out, from: { growing: feed.paths } };
    const room = { keptMemory: 1, spillMax: 3_000, spillFolder: folder };
    const kept = { store, interval: '10m', ...room } as const;
    const run = start(job, { workers: 2, ...pace, checkpoints: kept });
    await feed.until(() => saidBy(run).some(({ inputHeldBack }) => inputHeldBack), run);
    await feed.waitFor(() => !lastOf(run).inputHeldBack, run);
    assert.ok(existsSync(store));
    await feed.finish(run, job);
    assertExact(job, feed.truth(job));
  });

  test('a spill folder that cannot be used is said once, and blocks stay in memory', async () => {
    const { feed, out, store } = setting();
    const job = { out, from: { growing: feed.paths }, breaks: [breakAt(5_000, 'thread')] };
    const room = { keptMemory: 1, spillFolder: feed.paths[0]! };
    const kept = { store, interval: '10m', ...room } as const;
    const run = start(job, { workers: 2, ...pace, checkpoints: kept });
    await run.says(/worker \d: could not write kept blocks to ".*kept blocks stay in memory.*/);
    feed.feed(6_000);
    await feed.finish(run, job);
    assertExact(job, feed.truth(job));
    assert.equal(lastOf(run).spilledBytes, 0);
  });
});
