// Runs whose driver gets SIGKILL and that are started again, the same way or another: they go on
// where the last one was, and what was visible stays as it is. The next driver waits until the
// lease of the dead one has ended, some seconds; so these tests wait side by side.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { Process } from '../cluster/processes.fixture.ts';
import { endAll } from '../cluster/processes.fixture.ts';
import { Feed, rowsOf } from './feed.fixture.ts';
import type { RecoveryJob } from './orders.fixture.ts';
import { assertExact, endsWell, freshPath, keeping, outputOf } from './orders.fixture.ts';
import { startRun } from './orders.fixture.ts';

after(endAll);

const threads = ['--workers', '2'];
const oneThread = ['--workers', '1'];
const moreThreads = ['--workers', '3'];
const hosts = ['--hosts', '2', '--workers', '1'];

type Setting = { readonly feed: Feed; readonly job: RecoveryJob; readonly store: string };

function setting(end: string): Setting {
  const feed = new Feed();
  return {
    feed,
    job: { out: freshPath(end), from: { growing: feed.paths } },
    store: freshPath('.store'),
  };
}

/** Entries of the chain, newest first. */
function manifestsOf(store: string): readonly string[] {
  const folder = join(store, 'orders', 'manifests');
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return names
    .toSorted()
    .toReversed()
    .map((name) => join(folder, name));
}

/** How many there have been, with the marks of drivers. */
function checkpointsOf(store: string): number {
  const [newest] = manifestsOf(store);
  return newest === undefined ? 0 : Number(basename(newest, '.json'));
}

function damage(path: string): void {
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.fill(7, bytes.length >> 1));
}

/** Starts a run and gives it input until there are several checkpoints, and output. */
async function underWay(
  { feed, job, store }: Setting,
  options: readonly string[],
): Promise<Process> {
  const run = startRun(job, [...options, ...keeping(store)]);
  await feed.until(() => checkpointsOf(store) >= 5 && rowsOf(job) > 0, run);
  // So that it has something to do.
  feed.feed(1_000);
  return run;
}

async function kill(run: Process): Promise<void> {
  run.kill('SIGKILL');
  const { signal, stderr } = await run.ended;
  assert.equal(signal, 'SIGKILL', stderr);
}

async function goesOn({ feed, job, store }: Setting, options: readonly string[]): Promise<Process> {
  const run = startRun(job, [...options, ...keeping(store)]);
  await feed.finish(run, job);
  assertExact(job, feed.truth(job));
  return run;
}

describe('a run that is killed', { concurrency: true }, () => {
  test('goes on with the history that --fresh has begun, not with the one before', async () => {
    const own = setting('/');
    await kill(await underWay(own, threads));
    const anew = { ...own, job: { ...own.job, out: freshPath('/') } };
    await kill(await underWay(anew, [...threads, '--fresh']));
    await goesOn(anew, threads);
  });

  test('goes on when it is started again, and has nothing to do the third time', async () => {
    const own = setting('/');
    const { job, store, feed } = own;
    await kill(await underWay(own, threads));
    const before = outputOf(job);
    await goesOn(own, threads);
    const after = new Set(outputOf(job));
    assert.ok(before.every((line) => after.has(line)));
    await endsWell(startRun(job, [...threads, ...keeping(store)]));
    assertExact(job, feed.truth(job));
  });

  test('on threads goes on on hosts, with fewer workers, and on threads with more', async () => {
    const own = setting('.jsonl');
    await kill(await underWay(own, moreThreads));
    const again = startRun(own.job, [...hosts, ...keeping(own.store)]);
    const before = checkpointsOf(own.store);
    await own.feed.until(() => checkpointsOf(own.store) > before + 2, again);
    await kill(again);
    await goesOn(own, moreThreads);
  });

  test('takes a checkpoint that is whole, with warnings that name what is not', async () => {
    const own = setting('.jsonl');
    await kill(await underWay(own, oneThread));
    const [newest, second] = manifestsOf(own.store);
    const { state } = JSON.parse(readFileSync(second!, 'utf8')).content;
    const { key } = state.at(-1).objects.at(-1);
    damage(newest!);
    // As long as before: only its checksum tells.
    damage(join(own.store, 'orders', key));
    const { stderr } = await goesOn(own, oneThread);
    for (const name of [basename(newest!), key]) {
      const line = new RegExp(`passed over a damaged checkpoint: .*${name}.*used checkpoint \\d+ `);
      assert.match(stderr, line);
    }
  });

  test('leaves the lease to a second driver, which has waited for it', async () => {
    const own = setting('.jsonl');
    const { job, store, feed } = own;
    const first = await underWay(own, oneThread);
    const second = startRun(job, [...oneThread, ...keeping(store)]);
    await second.says(/waiting for driver \S+, which has the pipeline's lease/);
    feed.feed(1_000);
    await kill(first);
    await feed.finish(second, job);
    assertExact(job, feed.truth(job));
  });
});
