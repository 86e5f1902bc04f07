// Worker threads that end in the middle of a run: with checkpoints the run goes on and every count
// is right; without, it fails and says why.

import { after, describe, test } from 'node:test';
import { endAll } from '../cluster/processes.fixture.ts';
import type { RecoveryJob } from './orders.fixture.ts';
import {
  assertExact,
  breakAt,
  endsWell,
  failsWith,
  freshPath,
  keeping,
  startRun,
  truthOf,
} from './orders.fixture.ts';

after(endAll);

const events = 9_000;

function exiting(end: string): RecoveryJob {
  const breaks = [breakAt(3_000, 'thread'), breakAt(6_001, 'thread')];
  return { out: freshPath(end), from: { events, eventsPerSecond: 6_000 }, breaks };
}

const cases = [
  ['drizzle', '10ms', '/'],
  ['bsp', '10ms', '.jsonl'],
  ['continuous', '100ms', '.jsonl'],
] as const;

describe('threads', { concurrency: 2 }, () => {
  for (const [mode, interval, end] of cases) {
    test(`${mode}: threads that end in the middle change no count`, async () => {
      const job = exiting(end);
      const pace = ['--workers', '3', '--mode', mode, '--interval', interval];
      await endsWell(startRun(job, [...pace, ...keeping(freshPath('.store'))]));
      assertExact(job, truthOf(events));
    });
  }

  test('without checkpoints a thread that ends fails the run with its cause', async () => {
    await failsWith(
      startRun(exiting('.jsonl'), ['--workers', '3']),
      /error \[worker-lost\]: worker \d ended with exit code 3[^]*hint: /,
    );
  });
});
