// The whole engine from Kafka to Kafka under faults of workers, drivers and brokers. Replay and
// look further: `npm run simulate -- --kafka engine --from SEED --seeds 1 --trace`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawKafkaEngine } from './engine-draw.fixture.ts';
import { runKafkaEngine, simulateKafkaEngine } from './kafka-engine.fixture.ts';

const seedCount = process.env['MIZZLE_LONG'] === '1' ? 500 : 15;

test(`what topics hold in the end is what a sequential run gives, ${seedCount} seeds`, async () => {
  const totals = { rows: 0, recoveries: 0, checkpoints: 0 };
  for (let seed = 0; seed < seedCount; seed++) {
    const { rows, recoveries, checkpoints } = await simulateKafkaEngine(seed).catch(said(seed));
    totals.rows += rows;
    totals.recoveries += recoveries;
    totals.checkpoints += checkpoints;
  }
  assert.ok(totals.rows > 20 * seedCount, 'there is something to write');
  assert.ok(totals.recoveries > seedCount, 'workers are lost');
  assert.ok(totals.checkpoints > seedCount, 'the run goes on from checkpoints');
});

test('a range is logged under the placement that it was read by (seed 9015)', async () => {
  await simulateKafkaEngine(9015);
});

test('simulateKafkaEngine does the same again by the same seed, line by line', async () => {
  for (let seed = 0; seed < 2; seed++) {
    const [once, again] = [await traceOf(seed), await traceOf(seed)];
    assert.ok(once.length > 10);
    assert.deepEqual(again, once);
  }
});

async function traceOf(seed: number): Promise<readonly string[]> {
  const lines: string[] = [];
  const totals = await runKafkaEngine(drawKafkaEngine(seed), (line) => lines.push(line));
  return [...lines, JSON.stringify(totals)];
}

function said(seed: number): (error: unknown) => never {
  return (error) => {
    throw new Error(`seed ${seed} failed`, { cause: error });
  };
}
