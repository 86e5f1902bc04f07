// What every range log must do, as a list of named laws. `another` opens the same place once more,
// as the driver's process does beside a worker's.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';
import { Random } from '../../base/random.ts';
import { isFenced } from '../../control/storage/storage-errors.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { LoggedRange, RangeLog } from '../../ports/range-log.ts';

export type LogPair = { readonly log: RangeLog; readonly another: RangeLog };

export const logLaws: Readonly<Record<string, (pair: LogPair) => Promise<void>>> = {
  'is empty at first': async ({ log }) => {
    assert.deepEqual(await log.read(-1), []);
    await log.release(10);
    assert.deepEqual(await log.read(-1), []);
  },

  'gives back what was appended, in order and each once': async ({ log, another }) => {
    const a = log.writer('1-0-0', 1);
    const b = log.writer('1-1-0', 1);
    await a.append([range(0, 0), range(1, 0)]);
    await b.append([range(0, 1)]);
    await Promise.all([a.append([range(2, 0)]), b.append([range(1, 1), range(2, 1)])]);
    await b.append([range(2, 0)]);
    assert.deepEqual(names(await another.read(-1)), ['0 0', '0 1', '1 0', '1 1', '2 0', '2 1']);
    assert.deepEqual(names(await another.read(1)), ['2 0', '2 1']);
    assert.deepEqual(await another.read(1), [range(2, 0), range(2, 1)]);
    assert.deepEqual(await another.read(2), []);
    await Promise.all([a.close(), b.close()]);
    await assert.rejects(a.append([range(3, 0)]));
  },

  'refuses two different records of one name': async ({ log }) => {
    const writers = [log.writer('a', 1), log.writer('b', 1)];
    await writers[0]!.append([range(0, 0)]);
    await writers[1]!.append([{ ...range(0, 0), record: Uint8Array.of(1) }]);
    const isConflict = (error: unknown): boolean =>
      error instanceof StreamError && error.code === 'range-log-conflict';
    await assert.rejects(log.read(-1), isConflict);
    for (const writer of writers) await writer.close();
  },

  'lets nobody go on under a name that is in use': async ({ log, another }) => {
    const writer = log.writer('w', 1);
    await writer.append([range(0, 0)]);
    const second = another.writer('w', 1);
    await assert.rejects(second.append([range(1, 0)]));
    await writer.append([range(2, 0)]);
    assert.deepEqual(names(await another.read(-1)), ['0 0', '2 0']);
    await Promise.all([writer.close(), second.close()]);
  },

  'lets nobody of an older term begin behind a fence': async ({ log, another }) => {
    const there = log.writer('t1-w0', 1);
    await there.append([range(0, 0)]);
    await another.fence(2);
    const late = log.writer('t1-w1', 1);
    await assert.rejects(late.append([range(0, 1)]), isFenced);
    // Whoever was there goes on until it is sealed.
    await there.append([range(1, 0)]);
    const next = another.writer('t2-w1', 2);
    await next.append([range(1, 1)]);
    await another.fence(2);
    assert.deepEqual(names(await another.read(-1)), ['0 0', '1 0', '1 1']);
    assert.ok((await another.writers()).includes('t1-w0'));
    await Promise.all([there.close(), late.close(), next.close()]);
  },

  'takes nothing of a writer that is sealed': async ({ log, another }) => {
    const writer = log.writer('w', 1);
    await writer.append([range(0, 0)]);
    await writer.append([range(1, 0)]);
    await another.seal('w');
    await another.seal('w');
    await log.seal('w');
    await assert.rejects(writer.append([range(2, 0)]), isFenced);
    await assert.rejects(writer.append([range(3, 0)]), isFenced);
    assert.deepEqual(names(await another.read(-1)), ['0 0', '1 0']);
    await writer.close();
    assert.deepEqual(names(await another.read(-1)), ['0 0', '1 0']);
  },

  'seals a writer that never wrote': async ({ log, another }) => {
    await another.seal('w');
    const writer = log.writer('w', 1);
    await assert.rejects(writer.append([range(0, 0)]), isFenced);
    assert.deepEqual(await another.read(-1), []);
    await writer.close();
  },

  'seals a writer after everything it wrote was released': async ({ log, another }) => {
    const writer = log.writer('w', 1);
    for (let batch = 0; batch < 5; batch++) await writer.append([range(batch, 0)]);
    await another.release(4);
    assert.deepEqual(await another.read(4), []);
    await another.seal('w');
    await assert.rejects(writer.append([range(5, 0)]), isFenced);
    await another.release(4);
    const sameName = log.writer('w', 1);
    await assert.rejects(sameName.append([range(0, 0)]), isFenced);
    await sameName.close();
    assert.deepEqual(await another.read(4), []);
    await writer.close();
  },

  'holds everything that was reported durable, in every race with a seal': async (pair) => {
    const { log, another } = pair;
    const random = new Random(5);
    for (let round = 0; round < 5; round++) {
      const name = `race-${round}`;
      const writer = log.writer(name, 1);
      const durable: string[] = [];
      let sealed = false;
      const write = async (): Promise<void> => {
        for (let batch = 0; batch < 60; batch++) {
          const record = { ...range(batch, round), source: name };
          const wasSealed = sealed;
          try {
            await writer.append([record]);
          } catch (error) {
            assert.ok(isFenced(error));
            return;
          }
          assert.equal(wasSealed, false, 'an append that began after the seal was accepted');
          durable.push(...names([record]));
          await immediate();
        }
      };
      const seal = async (): Promise<void> => {
        for (let turn = random.integer(0, 40); turn > 0; turn--) await immediate();
        await Promise.all([another.seal(name), log.seal(name)]);
        sealed = true;
      };
      await Promise.all([write(), seal()]);
      const atSeal = names((await another.read(-1)).filter(({ source }) => source === name));
      // The last append may have arrived and not been answered.
      assert.deepEqual(atSeal.slice(0, durable.length), durable);
      assert.ok(atSeal.length <= durable.length + 1);
      await writer.close();
      const later = names((await log.read(-1)).filter(({ source }) => source === name));
      assert.deepEqual(later, atSeal, 'a sealed log has grown');
    }
  },

  'releases what is covered and nothing else': async ({ log, another }) => {
    const writers = [log.writer('a', 1), log.writer('b', 1)];
    for (let batch = 0; batch < 24; batch++) {
      await Promise.all(writers.map((writer, index) => writer.append([range(batch, index)])));
    }
    await another.seal('a');
    await another.release(14);
    const left = names(await another.read(14));
    assert.equal(left.length, 18);
    assert.equal(left[0], '15 0');
    await another.release(23);
    assert.deepEqual(await another.read(23), []);
    await writers[1]!.append([range(24, 1)]);
    assert.deepEqual(names(await another.read(23)), ['24 1']);
    for (const writer of writers) await writer.close();
  },

  'puts what is queued into one write, in the order of the calls': async ({ log, another }) => {
    const writer = log.writer('w', 1);
    const order: number[] = [];
    const appends = Array.from({ length: 50 }, async (_, batch) => {
      await writer.append([range(batch, 0), range(batch, 1)]);
      order.push(batch);
    });
    await Promise.all(appends);
    assert.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
    );
    assert.equal((await another.read(-1)).length, 100);
    await writer.close();
  },
};

/** Runs all laws, each in an empty place of its own. */
export async function checkLog(
  context: TestContext,
  open: (place: string) => LogPair,
): Promise<void> {
  for (const [law, check] of Object.entries(logLaws)) {
    await context.test(law, async () => check(open(randomUUID())));
  }
}

export function range(batch: number, partition: number): LoggedRange {
  const record = Uint8Array.from(
    { length: 40 },
    (_, index) => (batch * 7 + partition + index) % 256,
  );
  return { source: 'clicks', partition, batch, record };
}

function names(ranges: readonly LoggedRange[]): readonly string[] {
  return ranges.map(({ batch, partition }) => `${batch} ${partition}`);
}

function immediate(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
