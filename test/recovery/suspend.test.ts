// Runs that are ended in the middle of windows and started again: the windows stay open, the next
// run goes on with them at once, and every count is the one of plain arithmetic. So it is for
// savepoints, from which another history begins.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { Process } from '../cluster/processes.fixture.ts';
import { endAll, mizzle, portOf, startDriver, startWorker } from '../cluster/processes.fixture.ts';
import { Feed, rowsOf } from './feed.fixture.ts';
import type { RecoveryJob } from './orders.fixture.ts';
import {
  assertExact,
  endsWell,
  failsWith,
  freshPath,
  keeping,
  module,
  outputOf,
  startRun,
  suspending,
} from './orders.fixture.ts';

after(endAll);

type Setting = { readonly feed: Feed; readonly job: RecoveryJob; readonly store: string };

type Start = (setting: Setting, options: readonly string[]) => Promise<Process>;

function setting(end: string): Setting {
  const feed = new Feed();
  const store = freshPath('.store');
  return { feed, job: { out: freshPath(end), from: { growing: feed.paths } }, store };
}

/** In one process, or in host processes of this one. */
function locally(...options: readonly string[]): Start {
  return ({ job }, more) => Promise.resolve(startRun(job, [...options, ...more]));
}

/** A driver and hosts that connect to it. */
function onCluster(workers: number): Start {
  return async ({ job }, options) => {
    const argument = JSON.stringify(job);
    const driver = startDriver({ module, job: argument, out: job.out, workers, options });
    const port = await portOf(driver);
    for (let host = 0; host < workers; host++) startWorker(port, 1);
    return driver;
  };
}

/** Starts it, feeds it until there is new output, and ends it by a signal in the middle. */
async function suspended(own: Setting, start: Start, signal: NodeJS.Signals): Promise<void> {
  const before = rowsOf(own.job);
  const run = await start(own, suspending(own.store));
  await own.feed.until(() => rowsOf(own.job) > before, run);
  own.feed.feed(777);
  run.kill(signal);
  await endsWell(run);
  assert.doesNotMatch(run.stderr, /waiting for driver/);
  // A window that had closed half full would be no row of the truth.
  const truth = new Set(own.feed.truth(own.job));
  const partial = outputOf(own.job).filter((line) => !truth.has(line));
  const open = outputOf(own.job).length < truth.size;
  assert.ok(open, 'some windows are open');
  assert.deepEqual(partial, [], 'rows of windows that have closed too early');
}

async function goesOn(own: Setting, start: Start): Promise<void> {
  const run = await start(own, keeping(own.store));
  await own.feed.finish(run, own.job);
  assert.doesNotMatch(run.stderr, /waiting for driver/);
  assertExact(own.job, own.feed.truth(own.job));
}

async function ask(command: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  const asked = mizzle([...command, '--json']);
  await endsWell(asked);
  return JSON.parse(asked.stdout) as Readonly<Record<string, unknown>>;
}

/** Lines of one list that are not in another; what is there twice has to be there twice. */
function without(lines: readonly string[], others: readonly string[]): readonly string[] {
  const left = [...lines];
  for (const other of others) {
    const at = left.indexOf(other);
    assert.ok(at >= 0, `${other} is missing`);
    left.splice(at, 1);
  }
  return left;
}

describe('a run that is ended by a signal', { concurrency: 2 }, () => {
  const starts = [
    ['on threads', ['SIGTERM', 'SIGINT'], [locally(), locally('--workers', '3')], '/'],
    ['in one thread', ['SIGINT'], [locally('--workers', '0'), locally('--workers', '1')], '.jsonl'],
    ['on hosts', ['SIGTERM'], [locally('--hosts', '2', '--workers', '1'), locally()], '/'],
    ['on a cluster', ['SIGTERM'], [onCluster(2), locally()], '/'],
    ['on threads, then on a cluster', ['SIGTERM'], [locally(), onCluster(3)], '.jsonl'],
  ] as const;
  for (const [where, signals, [first, second], end] of starts) {
    test(`${where}: keeps its windows open, and the next one closes them`, async () => {
      const own = setting(end);
      for (const signal of signals) await suspended(own, first, signal);
      await goesOn(own, second);
    });
  }

  for (const mode of ['bsp', 'continuous']) {
    test(`in ${mode} mode: keeps its windows open, and the next one closes them`, async () => {
      const start = locally('--workers', '2', '--mode', mode, '--interval', '50ms');
      const own = setting('.jsonl');
      await suspended(own, start, 'SIGTERM');
      await goesOn(own, start);
    });
  }
});

describe('a savepoint', { concurrency: 2 }, () => {
  test('is made of a running job, starts elsewhere, and what is visible is told', async () => {
    const own = setting('/');
    const { feed, job, store } = own;
    const first = startRun(job, suspending(store));
    await feed.until(() => rowsOf(job) > 0, first);
    const running = await ask(['savepoint', '--store', store, '--name', 'running']);
    assert.equal(running['name'], 'running');
    const stopped = await ask(['stop', '--store', store, '--savepoint', 'stopped']);
    assert.deepEqual(stopped['ending'], 'suspended');
    await endsWell(first);
    // Nothing came after it, so this is exactly what was visible as of it.
    const asOf = outputOf(job);

    await suspended(own, locally(), 'SIGTERM');
    const later = outputOf(job);
    assert.ok(later.length > asOf.length);
    const from = ['--from', 'stopped'];
    const undecided = startRun(job, [...suspending(store), ...from]);
    await failsWith(undecided, /error \[output-undecided\][^]*checkpoint \d+[^]*--output keep/);
    const refused = startRun(job, [...suspending(store), ...from, '--output', 'new']);
    await failsWith(refused, /error \[output-exists\]/);

    // Another place gets what came after the savepoint, and that alone; on other workers.
    const elsewhere = { ...own, job: { ...job, out: freshPath('/') } };
    const anew = await onCluster(3)(elsewhere, [...keeping(store), ...from, '--output', 'new']);
    await feed.finish(anew, elsewhere.job, asOf.length);
    const since = without(feed.truth(job), asOf);
    assert.deepEqual(outputOf(elsewhere.job), since);

    // The first place keeps what it has, and gets the same once more.
    const kept = startRun(job, [...keeping(store), ...from, '--output', 'keep']);
    await feed.drain(kept, job, later.length + since.length);
    assert.deepEqual(without(outputOf(job), later), since);

    const list = mizzle(['checkpoints', 'list', '--store', store, '--json']);
    await endsWell(list);
    assert.match(list.stdout, /"savepoint":"running"/);
    const { number } = running;
    await endsWell(mizzle(['checkpoints', 'delete', String(number), '--store', store]));
    const left = mizzle(['checkpoints', 'list', '--store', store, '--json']);
    await endsWell(left);
    assert.doesNotMatch(left.stdout, /"savepoint":"running"/);
    assert.match(left.stdout, /"savepoint":"stopped"/);
    await failsWith(
      startRun(job, [...suspending(store), '--from', 'running', '--output', 'keep']),
      /error \[checkpoint-not-found\]/,
    );
  });

  test('that is the newest checkpoint is where the history goes on', async () => {
    const own = setting('.jsonl');
    const { feed, job, store } = own;
    const first = startRun(job, suspending(store));
    await feed.until(() => rowsOf(job) > 0, first);
    const { checkpoint } = await ask(['stop', '--store', store, '--savepoint', 'here']);
    await endsWell(first);
    const again = startRun(job, [...keeping(store), '--from', String(checkpoint)]);
    await feed.finish(again, job);
    assertExact(job, feed.truth(job));
  });

  test('that is kept in one file leaves what was there, and adds', async () => {
    const own = setting('.jsonl');
    const { feed, job, store } = own;
    const first = startRun(job, suspending(store));
    await feed.until(() => rowsOf(job) > 0, first);
    await ask(['stop', '--store', store, '--savepoint', 'here']);
    await endsWell(first);
    const asOf = outputOf(job);
    await suspended(own, locally('--hosts', '2', '--workers', '1'), 'SIGTERM');
    const later = outputOf(job);
    const third = startRun(job, [...keeping(store), '--from', 'here', '--output', 'keep']);
    feed.feed(500);
    await feed.until(() => rowsOf(job) > later.length, third);
    third.kill('SIGKILL');
    await third.ended;
    // The history that has begun goes on like any other.
    const fourth = startRun(job, keeping(store));
    await feed.finish(fourth, job, asOf.length - later.length);
    assert.deepEqual(without(outputOf(job), later), without(feed.truth(job), asOf));
  });
});

test('mizzle stop and savepoint say that nobody runs', { concurrency: true }, async () => {
  const own = setting('/');
  const { feed, job, store } = own;
  const run = startRun(job, suspending(store));
  await feed.until(() => rowsOf(job) > 0, run);
  run.kill('SIGINT');
  await endsWell(run);
  for (const command of ['stop', 'savepoint']) {
    await failsWith(mizzle([command, '--store', store]), /error \[no-driver\]/);
    const none = mizzle([command, '--store', join(store, 'nowhere')]);
    await failsWith(none, /error \[checkpoint-not-found\]/);
  }
});
