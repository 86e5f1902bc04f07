// Hosts that get SIGKILL in the middle of a task, one and then another of three: what is left of
// the cluster goes on, and every count is right.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Process } from '../cluster/processes.fixture.ts';
import { endAll, portOf, startDriver, startWorker } from '../cluster/processes.fixture.ts';
import { Feed, rowsOf } from './feed.fixture.ts';
import type { RecoveryJob } from './orders.fixture.ts';
import {
  assertExact,
  breakAt,
  endsWell,
  freshPath,
  keeping,
  module,
  outputOf,
  truthOf,
} from './orders.fixture.ts';

after(endAll);

const events = 9_000;

type Cluster = {
  readonly driver: Process;
  readonly hosts: readonly Process[];
  readonly port: number;
};

async function startCluster(job: RecoveryJob, options: readonly string[]): Promise<Cluster> {
  const text = JSON.stringify(job);
  const driver = startDriver({ module, job: text, out: job.out, workers: 3, options });
  const port = await portOf(driver);
  return { driver, port, hosts: [1, 2, 3].map(() => startWorker(port, 1)) };
}

const cases = [
  ['a folder', 'drizzle', '10ms', '/'],
  ['a file', 'bsp', '10ms', '.jsonl'],
  ['a file', 'continuous', '100ms', '.jsonl'],
] as const;

describe('hosts', { concurrency: 2 }, () => {
  for (const [what, mode, interval, end] of cases) {
    test(`${mode} into ${what}: two of three hosts are killed, and no count changes`, async () => {
      const breaks = [breakAt(3_000, 'process'), breakAt(6_001, 'process')];
      const job = { out: freshPath(end), from: { events, eventsPerSecond: 3_000 }, breaks };
      const pace = ['--mode', mode, '--interval', interval];
      const { driver, hosts } = await startCluster(job, [...pace, ...keeping(freshPath('.store'))]);
      await endsWell(driver);
      const ends = await Promise.all(hosts.map(({ ended }) => ended));
      const signals = ends.map(({ signal }) => signal);
      assert.equal(signals.filter((signal) => signal === 'SIGKILL').length, 2, String(signals));
      for (const host of hosts) {
        if (host.child.signalCode === null) await endsWell(host);
        else assert.match(driver.stderr, new RegExp(`lost host "[^"]*-${host.child.pid}-`));
      }
      assertExact(job, truthOf(events));
    });
  }

  test('a host that is killed while another is starting ends nothing', async () => {
    const feed = new Feed();
    const job = { out: freshPath('/'), from: { growing: feed.paths } };
    const { driver, hosts, port } = await startCluster(job, keeping(freshPath('.store')));
    await feed.until(() => rowsOf(job) > 0, driver);
    const late = startWorker(port, 1);
    // It has not loaded the pipeline by then, and looks for the others.
    await feed.until(() => late.stderr.includes('joined the driver'), driver);
    hosts[0]!.kill('SIGKILL');
    await feed.finish(driver, job);
    for (const host of [late, ...hosts.slice(1)]) await endsWell(host);
    assert.deepEqual(outputOf(job), feed.truth(job));
  });
});
