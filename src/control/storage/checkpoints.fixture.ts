// A checkpoint's content for tests, and a way to run scripts of several drivers step by step
// against one store, with answers that get lost.

import type { Random } from '../../base/random.ts';
import type { SimulatedStore } from '../../sim/simulated-store.ts';
import type { CheckpointContent, StateObject } from '../protocol/checkpoint-manifest.ts';
import type { StoreRequest, StoreScript } from './store-script.ts';

export function checkpointContent(
  batch: number,
  objects: readonly StateObject[] = [],
  savepoint: string | null = null,
): CheckpointContent {
  return {
    history: 'h1',
    startMs: 1000,
    batch,
    planHash: 'abc',
    structure: {
      hash: 'abc',
      sources: [{ id: 'source-clicks', description: 'files a.jsonl', watermark: '{}' }],
      stages: [
        {
          stage: 0,
          source: 'source-clicks',
          partitions: 2,
          inputs: [],
          operators: [{ id: 'filter-1', kind: 'filter', state: null }],
        },
        {
          stage: 1,
          source: null,
          partitions: 4,
          inputs: ['source-clicks'],
          operators: [
            {
              id: 'aggregate-1',
              kind: 'aggregate',
              state: {
                keys: [{ name: 'page', text: 'page: string' }],
                window: '{"kind":"global"}',
                time: '',
                lateness: '0 ms',
                aggregates: [{ name: 'clicks', text: 'count(): int64' }],
                columns: [],
              },
            },
          ],
        },
      ],
      sinks: [
        {
          id: 'sink-1',
          description: 'files out/',
          columns: 'page string, clicks int64',
          ledger: 'sink-1',
          feeds: [{ from: 'aggregate-1', partitions: 4 }],
        },
      ],
    },
    sources: [
      {
        source: 'source-clicks',
        layout: { files: ['a.jsonl'] },
        partitions: [{ partition: 0, batch, record: 'AAEC' }],
      },
    ],
    state: objects.length === 0 ? [] : [{ stage: 1, partition: 0, objects }],
    sinks: [{ sink: 'sink-1', partitions: [{ partition: 0, batch: batch - 1 }] }],
    savepoint,
  };
}

/** An answer that got lost, though what was asked may have been done. */
export class LostAnswer extends Error {
  override name = 'LostAnswer';
}

/**
 * A driver's scripts, one step at a time. With some probability a step fails before it is done, or
 * after; what changes nothing is asked again, as a real store's client does.
 */
export class SteppedDriver {
  readonly #store: SimulatedStore;
  readonly #random: Random;
  readonly #faults: number;

  constructor(store: SimulatedStore, random: Random, faults: number) {
    this.#store = store;
    this.#random = random;
    this.#faults = faults;
  }

  /** Yields between steps, so that others get between. */
  *run<Result>(script: StoreScript<Result>): Generator<void, Result> {
    let step = script.next();
    while (step.done !== true) {
      yield;
      try {
        step = script.next(this.#answer(step.value));
      } catch (error) {
        if (!(error instanceof LostAnswer)) throw error;
        step = script.throw(error);
      }
    }
    return step.value;
  }

  #answer(request: StoreRequest): ReturnType<SimulatedStore['answer']> {
    const changes = request.kind !== 'get' && request.kind !== 'list';
    if (changes && this.#random.chance(this.#faults)) {
      if (this.#random.chance(0.5)) this.#store.answer(request);
      // The client asks again, and for a conditional write that was done gets a refusal.
      if (this.#random.chance(0.5)) throw new LostAnswer('the answer was lost');
    }
    return this.#store.answer(request);
  }
}
