// The open writers of one thread: when they open, and what becomes of one that does not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamError } from '../../base/stream-error.ts';
import type { PlacementVersion } from '../../control/protocol/ids.ts';
import type { SinkId, SinkSpec } from '../../plan/logical-plan.ts';
import type { Sink, SinkOutput } from '../../ports/sink.ts';
import { SinkWriters } from './sink-writers.ts';

const id = 'out' as SinkId;
const schema = { fields: [] };

/** A sink partition in which micro-batches are visible through 4. */
function writersOf(options: { opensFail?: number } = {}) {
  let fails = options.opensFail ?? 0;
  const did: string[] = [];
  const sink: Pick<Sink, 'open'> = {
    open: async (partition, { run }) => {
      did.push(`open ${partition} as ${run.incarnation}`);
      if (fails-- > 0) throw new Error('nobody answers');
      return {
        committedThrough: 4,
        commit: async ({ batch }) => void did.push(`commit ${batch} as ${run.incarnation}`),
        close: async () => void did.push(`close ${run.incarnation}`),
      };
    },
  };
  const writers = new SinkWriters({
    specs: [{ id, name: 'out', schema } as unknown as SinkSpec],
    sinks: new Map([[id, sink as Sink]]),
    clock: { nowMs: () => 0 },
    run: { pipeline: 'p', history: 'h', term: 1, incarnation: 0, resumes: false, keeps: null },
    ledgers: {},
  });
  return { writers, did };
}

function place(since: number) {
  return { partition: 3, since: since as PlacementVersion };
}

function output(batch: number): SinkOutput {
  return { batch, rows: { schema, rowCount: 1, vectors: [] }, watermarkMs: 0 };
}

test('a writer that was prepared is open when rows come, and is the one they go to', async () => {
  const { writers, did } = writersOf();
  writers.prepare(id, place(1));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(did, ['open 3 as 2']);
  await writers.commit(id, place(1), output(4));
  await writers.commit(id, place(1), output(5));
  await writers.close();
  assert.deepEqual(did, ['open 3 as 2', 'commit 5 as 2', 'close 2'], '4 was visible');
});

test('a writer that could not be prepared is opened by a commit, which is told', async () => {
  const { writers, did } = writersOf({ opensFail: 2 });
  writers.prepare(id, place(1));
  const refused = (error: unknown): boolean =>
    error instanceof StreamError && error.code === 'sink-failed';
  await assert.rejects(writers.commit(id, place(1), output(5)), refused);
  await writers.commit(id, place(1), output(5));
  assert.deepEqual(did, ['open 3 as 2', 'open 3 as 2', 'open 3 as 2', 'commit 5 as 2']);
  await writers.close();
});

test('a later placement takes the place of a writer that an earlier one has prepared', async () => {
  const { writers, did } = writersOf();
  writers.prepare(id, place(1));
  writers.prepare(id, place(2));
  await writers.commit(id, place(2), output(5));
  // What an older placement still wants does not bring its writer back.
  writers.prepare(id, place(1));
  await writers.close();
  assert.deepEqual(did, ['open 3 as 2', 'close 2', 'open 3 as 3', 'commit 5 as 3', 'close 3']);
});
