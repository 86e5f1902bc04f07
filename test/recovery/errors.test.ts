// Runs with checkpoints that cannot be: they end at once, say why, and keep nobody waiting.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { endAll } from '../cluster/processes.fixture.ts';
import type { RecoveryJob } from './orders.fixture.ts';
import {
  assertExact,
  endsWell,
  failsWith,
  freshPath,
  keeping,
  startRun,
  truthOf,
} from './orders.fixture.ts';

after(endAll);

function short(): RecoveryJob {
  return { out: freshPath('/'), from: { events: 1_000, eventsPerSecond: 10_000 } };
}

const oneThread = ['--workers', '1'];

describe('a run with checkpoints', { concurrency: 2 }, () => {
  test('refuses a source that nobody can read again, and names it', async () => {
    const run = startRun({ ...short(), from: 'standard input' }, keeping(freshPath('.store')));
    await failsWith(run, /error \[source-not-replayable\][^]*source "source#0" \(-\)[^]*hint: /);
  });

  test('refuses a store that cannot be written to', async () => {
    const file = freshPath('.file');
    writeFileSync(file, '');
    await failsWith(startRun(short(), keeping(join(file, 'store'))), /error \[store-[^]*hint: /);
  });

  test('refuses a changed aggregate, with operator and difference, unless it is new', async () => {
    const job = short();
    const kept = [...oneThread, ...keeping(freshPath('.store'))];
    await endsWell(startRun(job, kept));
    const changed = startRun({ ...job, aggregate: 'max' }, kept);
    await failsWith(
      changed,
      /"aggregate#0" had the aggregate revenue = sum[^]*greatest = max[^]*--fresh/,
    );
    const fresh = startRun({ ...job, out: freshPath('/'), aggregate: 'max' }, [...kept, '--fresh']);
    await endsWell(fresh);
    for (const { stderr } of [changed, fresh]) assert.doesNotMatch(stderr, /waiting for driver/);
    assertExact(job, truthOf(1_000));
  });

  test('that cannot start gives the lease back', async () => {
    const job = short();
    const kept = [...oneThread, ...keeping(freshPath('.store'))];
    await endsWell(startRun(job, oneThread));
    await failsWith(startRun(job, kept), /error \[output-exists\]/);
    const again = startRun({ ...job, out: freshPath('/') }, kept);
    await endsWell(again);
    assert.doesNotMatch(again.stderr, /waiting for driver/);
  });
});
