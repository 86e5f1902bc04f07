// Worker threads that end in the middle of a run: with checkpoints the run goes on and every count
// is right; without, it fails and says why.

import { after, describe, test } from 'node:test';
import { endAll } from '../cluster/processes.fixture.ts';
import { Feed, rowsOf } from './feed.fixture.ts';
import type { RecoveryJob } from './orders.fixture.ts';
import { assertExact, breakAt, failsWith, freshPath, startRun } from './orders.fixture.ts';

after(endAll);

/** Threads end at rows that come when others have been read, logged and made visible. */
function breakingRun(job: Partial<RecoveryJob>): {
  readonly feed: Feed;
  readonly job: RecoveryJob;
} {
  const feed = new Feed();
  const breaks = [breakAt(5_000, 'thread'), breakAt(8_001, 'thread')];
  return { feed, job: { out: freshPath('/'), from: { growing: feed.paths }, breaks, ...job } };
}

const cases = [
  ['drizzle', '10ms', 'counts', {}],
  ['drizzle', '10ms', 'the rows themselves', { aggregate: 'none' }],
  ['bsp', '10ms', 'counts', { out: freshPath('.jsonl') }],
  ['continuous', '100ms', 'counts', {}],
] as const;

describe('threads', { concurrency: 2 }, () => {
  for (const [mode, interval, what, parts] of cases) {
    test(`${mode}, ${what}: threads that end in the middle change nothing`, async () => {
      const { feed, job } = breakingRun(parts);
      const pace = ['--workers', '3', '--mode', mode, '--interval', interval];
      // No checkpoint comes in between: all that was read is read again.
      const kept = ['--checkpoints', freshPath('.store'), '--checkpoint-interval', '10m'];
      const run = startRun(job, [...pace, ...kept, '--drain-on-stop']);
      feed.feed(4_000);
      await feed.waitFor(() => rowsOf(job) > 0, run);
      feed.feed(5_000);
      await feed.finish(run, job);
      assertExact(job, feed.truth(job));
    });
  }

  test('without checkpoints a thread that ends fails the run with its cause', async () => {
    const { feed, job } = breakingRun({});
    feed.feed(6_000);
    await failsWith(
      startRun(job, ['--workers', '3']),
      /error \[worker-lost\]: worker \d ended with exit code 3[^]*hint: /,
    );
  });
});
