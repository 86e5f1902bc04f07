// Drivers that get SIGKILL, or stand still and then go on, over hosts that live: a standby takes
// the workers over with what they have, and every count is right.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Process } from '../cluster/processes.fixture.ts';
import { endAll, freePort, mizzle, sleep, startDriver } from '../cluster/processes.fixture.ts';
import { Feed, rowsOf } from './feed.fixture.ts';
import type { RecoveryJob } from './orders.fixture.ts';
import { assertExact, freshPath, keeping, module } from './orders.fixture.ts';

after(endAll);

type Cluster = {
  readonly feed: Feed;
  readonly job: RecoveryJob;
  readonly drivers: readonly [Process, Process];
  readonly hosts: readonly Process[];
};

async function startCluster(options: readonly string[] = []): Promise<Cluster> {
  const feed = new Feed();
  const job: RecoveryJob = { out: freshPath('/'), from: { growing: feed.paths } };
  const ports = [await freePort(), await freePort()] as const;
  const store = freshPath('.store');
  const start = (port: number): Process => {
    const all = [...keeping(store), ...options];
    return startDriver({
      module,
      job: JSON.stringify(job),
      out: job.out,
      workers: 4,
      port,
      options: all,
    });
  };
  const first = start(ports[0]);
  await first.says(/waiting for 4 workers/);
  const standby = start(ports[1]);
  const connect = ports.map((port) => `127.0.0.1:${port}`).join(',');
  const hosts = [1, 2].map(() => mizzle(['worker', '--connect', connect, '--workers', '2']));
  await feed.until(() => rowsOf(job) > 7, first);
  return { feed, job, drivers: [first, standby], hosts };
}

/** The run goes on with what is there now, and ends as if nothing had happened. */
async function finish({ feed, job, drivers: [, standby], hosts }: Cluster): Promise<void> {
  const rows = rowsOf(job);
  await feed.until(() => rowsOf(job) > rows + 7, standby);
  await feed.finish(standby, job);
  for (const host of hosts) {
    const { code, stderr } = await host.ended;
    assert.equal(code, 0, stderr);
  }
  assertExact(job, feed.truth(job));
}

function assertTakenOver({ drivers: [, standby], hosts }: Cluster): void {
  assert.match(standby.stderr, /took over/);
  for (const { stderr } of hosts) {
    assert.match(stderr, /lost the driver at .*; its workers go on/);
    assert.match(stderr, /returned to the driver/);
    assert.doesNotMatch(stderr, /starts over/);
  }
}

describe('a standby driver', { concurrency: 2 }, () => {
  for (const mode of ['drizzle', 'bsp'] as const) {
    test(`takes living workers over when the driver is killed (${mode})`, async () => {
      const cluster = await startCluster(['--mode', mode]);
      cluster.drivers[0].kill('SIGKILL');
      await cluster.drivers[1].says(/took over/);
      await finish(cluster);
      assertTakenOver(cluster);
    });
  }

  test('takes over from one that stands still, which then ends', async () => {
    const cluster = await startCluster(['--timeout', '3s']);
    const [first, standby] = cluster.drivers;
    first.kill('SIGSTOP');
    await standby.says(/took over|came/);
    first.kill('SIGCONT');
    await finish(cluster);
    const { code, stderr } = await first.ended;
    assert.equal(code, 1, stderr);
    assert.match(stderr, /lease|another driver/);
  });

  test('goes on though a host was lost while there was no driver', async () => {
    const cluster = await startCluster();
    const [first, standby] = cluster.drivers;
    const [gone, ...left] = cluster.hosts;
    first.kill('SIGKILL');
    gone!.kill('SIGKILL');
    await standby.says(/took over/);
    await finish({ ...cluster, hosts: left });
  });
});

test('without checkpoints a host ends with its driver', async () => {
  const feed = new Feed();
  const job: RecoveryJob = { out: freshPath('/'), from: { growing: feed.paths } };
  const port = await freePort();
  const driver = startDriver({ module, job: JSON.stringify(job), out: job.out, workers: 1, port });
  const host = mizzle(['worker', '--connect', `127.0.0.1:${port}`, '--workers', '1']);
  await feed.until(() => rowsOf(job) > 0, driver);
  driver.kill('SIGKILL');
  await sleep(0);
  const { code, stderr } = await host.ended;
  assert.equal(code, 1);
  assert.match(stderr, /lost the driver/);
});
