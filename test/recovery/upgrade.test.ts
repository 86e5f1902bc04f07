// One version of a pipeline after another over the same store: what fits goes on with exact counts,
// what does not is refused with a reason, and the version before can go on as if nobody had tried.

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { Process } from '../cluster/processes.fixture.ts';
import { endAll } from '../cluster/processes.fixture.ts';
import { rowsOf } from './feed.fixture.ts';
import { assertExact, failsWith, outputOf } from './orders.fixture.ts';
import { Deployment } from './upgrade.fixture.ts';
import type { VersionJob } from './upgrade.fixture.ts';

after(endAll);

/** Entries of the chain that there have been. */
function checkpointsOf({ store }: Deployment): number {
  const folder = join(store, 'orders', 'manifests');
  if (!existsSync(folder)) return 0;
  return Math.max(0, ...readdirSync(folder).map((name) => Number.parseInt(name, 10)));
}

/** Gives input until there are some more checkpoints, and output. */
async function settle(own: Deployment, run: Process): Promise<void> {
  const before = checkpointsOf(own);
  await own.feed.until(() => checkpointsOf(own) >= before + 4 && rowsOf(own.job) > 0, run);
}

async function kill(run: Process): Promise<void> {
  run.kill('SIGKILL');
  const { signal, stderr } = await run.ended;
  assert.equal(signal, 'SIGKILL', stderr);
}

/** Starts a version, lets it get somewhere, and kills it in the middle. */
async function killed(own: Deployment, change: Partial<VersionJob>): Promise<Process> {
  const run = own.start(change);
  await settle(own, run);
  own.feed.feed(1_000);
  await kill(run);
  return run;
}

async function goesOn(
  own: Deployment,
  change: Partial<VersionJob>,
  options?: readonly string[],
): Promise<Process> {
  const run = own.start(change, options);
  await own.feed.finish(run, own.job);
  assertExact(own.job, own.feed.truth(own.job));
  return run;
}

describe('a version that is stopped', { concurrency: true }, () => {
  test('leaves nothing behind its checkpoint: names and partitions may change', async () => {
    const own = new Deployment();
    const run = own.startToSuspend({});
    await settle(own, run);
    run.kill('SIGINT');
    const { code, stderr } = await run.ended;
    assert.equal(code, 0, stderr);
    const next = own.start({ version: 'named' }, ['--workers', '2', '--partitions', '5']);
    await own.feed.finish(next, own.job);
    assertExact(own.job, own.feed.truth(own.job));
    assert.doesNotMatch(next.stderr, /had been read by another version/);
  });
});

describe('a version that is killed', { concurrency: true }, () => {
  test('is followed by one with more operators and sinks, and then by itself', async () => {
    const own = new Deployment();
    await killed(own, {});
    const known = new Set(own.feed.truth(own.archive));
    const more = await killed(own, { version: 'more' });
    assert.match(
      more.stderr,
      /micro-batches \d+ to \d+ had been read by another version of the pipeline: this one runs /,
    );
    // What it has begun anew is visible once, and is not what was there before.
    const archived = outputOf(own.archive);
    assert.equal(new Set(archived).size, archived.length);
    assert.ok(archived.length > 0);
    const all = new Set(own.feed.truth(own.archive));
    assert.ok(archived.every((line) => all.has(line)));
    assert.ok(archived.some((line) => !known.has(line)));
    const refused = own.start({});
    await failsWith(
      refused,
      /operator "aggregate#0", which has state \(greatest\), is gone[^]*hint: put it back/,
    );
    const two = ['--workers', '2'];
    const { stderr } = await goesOn(own, {}, [...two, '--allow-dropped-state']);
    assert.match(
      stderr,
      /dropped state: operator "aggregate#0", which has state \(greatest\), is gone/,
    );
  });

  test('on threads is followed by one with more on hosts', async () => {
    const own = new Deployment();
    await killed(own, {});
    await goesOn(own, { version: 'more' }, ['--hosts', '2', '--workers', '1']);
    // The last order of each file is the same.
    const archived = outputOf(own.archive).filter((line) => !line.startsWith('ZZ'));
    assert.ok(archived.length > 0);
    assert.equal(new Set(archived).size, archived.length);
  });

  test('goes on after one that does not fit was refused', async () => {
    const own = new Deployment();
    await killed(own, {});
    const before = outputOf(own.job);
    await failsWith(
      own.start({ version: 'other' }),
      new RegExp(
        'error \\[checkpoint-incompatible\\][^]*operator "aggregate#0" had the aggregate ' +
          'revenue = sum\\(amount: int32\\): float64, and has ' +
          'greatest = max\\(amount: int32\\): int32 now[^]*' +
          'hint: put it back as it was, or let the state go with --allow-dropped-state',
      ),
    );
    assert.deepEqual(outputOf(own.job), before);
    await goesOn(own, {});
  });

  test('goes on after one that would write elsewhere was refused, with what to do', async () => {
    const own = new Deployment();
    await killed(own, {});
    const wider = own.start({}, ['--workers', '2', '--partitions', '5']);
    await failsWith(
      wider,
      new RegExp(
        'error \\[unclean-change\\][^]*micro-batches \\d+ to \\d+, read by the version ' +
          'before and perhaps visible, cannot be run again by this one: ' +
          'sink "sink#0" is written by 5 partitions of "aggregate#0" now, and was written by 8 ' +
          '[^]*hint: start the version before once more and stop it with Ctrl-C',
      ),
    );
    await goesOn(own, {});
  });

  test('by its own code goes on with code that can take what it could not', async () => {
    const own = new Deployment();
    const run = own.start({});
    await settle(own, run);
    await kill(run);
    const choking = { chokesOn: own.feed.count + 500 };
    const code = /error \[user-function\][^]*too much/;
    const again = own.start(choking);
    own.feed.feed(1_000);
    await failsWith(again, code);
    // Nothing is left out: what it has read once it reads again.
    await failsWith(own.start(choking), code);
    await goesOn(own, {});
  });
});
