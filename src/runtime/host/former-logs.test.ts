// Whose logs a driver closes before it reads what a driver before it has left.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { DriverMachine } from '../../control/driver/driver-machine.ts';
import type { DriverEffect } from '../../control/driver/events.ts';
import { planShape } from '../../control/driver/plan-shape.ts';
import type {
  BatchNumber,
  Incarnation,
  PlacementVersion,
  Term,
  WorkerId,
} from '../../control/protocol/ids.ts';
import { noBatch } from '../../control/protocol/ids.ts';
import { collect, memory, pipeline, schema, string } from '../../index.ts';
import type { SourceId } from '../../plan/logical-plan.ts';
import { partitionCountsOf } from '../../plan/partition-counts.ts';
import { planPhysical } from '../../plan/plan-physical.ts';
import type { LoggedRange } from '../../ports/range-log.ts';
import { CheckpointStore } from '../storage/checkpoint-store.ts';
import { openStore } from '../storage/open-store.ts';
import { DriverJournal } from './driver-journal.ts';
import { DriverStorage } from './driver-storage.ts';
import type { Durability } from './durable-job.ts';
import { noKafkaLogs } from './kafka-logs.ts';
import { openDurability } from './durable-job.ts';
import type { JobConfig } from './job-config.ts';

const folder = mkdtempSync(join(tmpdir(), 'mizzle-driver-storage-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const rows = memory({ partitions: [[]] }, { schema: schema({ user: string() }) });
const logical = pipeline('shop').from(rows).to(collect()).plan();
const counts = new Map<SourceId, number>(logical.sources.map(({ id }) => [id, 1]));
const plan = planPhysical(logical, { partitions: 1, sourcePartitions: counts });
const partitionCounts = partitionCountsOf(plan, () => 1);
/** A checkpoint covers it, so it is never read. */
const record: LoggedRange = { source: 'x', partition: 0, batch: 0, record: new Uint8Array(0) };

/** The first question of a driver of term 2 whose only worker is w0-i1. */
function firstQuestion(returns: boolean): Extract<DriverEffect, { kind: 'read-log' }> {
  const from = { batch: 9 as BatchNumber, snapshots: [] };
  const driver = new DriverMachine({
    shape: planShape(plan, partitionCounts),
    workerCount: 1,
    mode: 'drizzle',
    pace: { groupSize: 10, intervalMs: 10, lookAhead: true },
    term: 2 as Term,
    recovery: {
      checkpointIntervalMs: 100,
      from,
      published: -1 as PlacementVersion,
      drainAt: noBatch,
    },
  });
  const life = { worker: 0 as WorkerId, incarnation: 1 as Incarnation };
  driver.step(0, { kind: 'worker-joined', ...life, host: 0, returns });
  if (returns) driver.step(0, { kind: 'take-over' });
  const question = driver.takeEffects().find(({ kind }) => kind === 'read-log');
  assert.ok(question?.kind === 'read-log');
  return question;
}

for (const isOneHost of [true, false]) {
  describe(`DriverStorage, with the log ${isOneHost ? 'in files' : 'in the store'}`, () => {
    const address = join(folder, String(isOneHost));
    const nowMs = (): number => 0;

    async function question(history: string, returns: boolean): Promise<() => Promise<void>> {
      const open = await openDurability(
        { store: address, history, isOneHost, kafkaLogs: noKafkaLogs },
        'shop',
        nowMs,
      );
      const former = open.log.writer('t1-w0-i1', 1);
      await former.append([record]);
      const store = await openStore(address);
      const checkpoints = new CheckpointStore(store, { pipeline: 'shop', nowMs, warn: () => {} });
      const driver = { term: 2, holder: 'second' };
      const storage = new DriverStorage({
        config: {} as unknown as JobConfig,
        durability: { term: 2 } as unknown as Durability,
        open,
        plan,
        manifests: await checkpoints.open(driver),
        journal: await DriverJournal.open(store, { pipeline: 'shop', ...driver }),
      });
      await storage.readLog(firstQuestion(returns));
      await storage.close();
      return () => former.append([{ ...record, batch: 1 }]).finally(() => former.close());
    }

    test('closes that of a former worker whose number and life a new one has', async () => {
      const append = await question('new', false);
      await assert.rejects(append, { code: 'fenced' });
    });

    test('leaves that of a worker that has come over open', async () => {
      const append = await question('returned', true);
      await append();
    });
  });
}
