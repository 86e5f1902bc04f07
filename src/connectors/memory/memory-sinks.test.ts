import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RowObject } from '../../schema/data-type.ts';
import { checkReopening, checkZombies } from '../../testing/sink-conformance.ts';
import type { NewWorld } from '../../testing/sink-conformance.ts';
import { CollectSink, ForEachSink } from './collect.ts';

/** Output and ledger end with the process, so all lives are lives of one. */
const collectWorld: NewWorld = async () => {
  const sink = new CollectSink<RowObject>();
  return { sink: () => sink, visible: async () => sink.rows, fencesForeignRows: true };
};

const forEachWorld: NewWorld = async () => {
  const rows: RowObject[] = [];
  const sink = new ForEachSink<RowObject>(async (row) => rows.push(row));
  return { sink: () => sink, visible: async () => rows, fencesForeignRows: true };
};

for (const [name, newWorld] of [
  ['collect', collectWorld],
  ['forEach', forEachWorld],
] as const) {
  test(`${name}: fences writers that were replaced and repeats nothing`, async () => {
    assert.equal(await checkZombies(newWorld, { term: 2 }), 0);
    await checkZombies(newWorld, { incarnation: 2 });
    await checkReopening(newWorld);
  });
}
