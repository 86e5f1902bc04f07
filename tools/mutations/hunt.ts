// `node hunt.ts NAME SEEDS [FINDER]`: runs seeds until one fails, with one mutation in the engine,
// and prints what it found as JSON. A process of its own, since modules are loaded once. FINDER:
// who looks for it, where it is not who is to find it.

import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Finder } from './all-mutations.ts';
import { allMutations } from './all-mutations.ts';
import type { Mutation } from './mutations.ts';

export type Hunt = {
  /** Seeds that ran, the one that failed included. */
  readonly seeds: number;
  readonly seconds: number;
  /** Null: no seed failed. */
  readonly error: string | null;
};

const root = join(import.meta.dirname, '../..');

function mutate({ name, file, text, replacement }: Mutation): void {
  const path = join(root, file);
  const parts = readFileSync(path, 'utf8').split(text);
  if (parts.length !== 2) {
    throw new Error(`mutation ${name}: its text stands ${parts.length - 1} times in ${file}`);
  }
  const url = pathToFileURL(path).href;
  const source = parts.join(replacement);
  registerHooks({
    load(loaded, context, next) {
      const result = next(loaded, context);
      return loaded === url ? { ...result, source } : result;
    },
  });
}

/** Loads what runs one seed: behind the mutation. */
async function loadSimulation(finder: Finder): Promise<(seed: number) => unknown> {
  switch (finder) {
    case 'engine': {
      const { simulate } = await import('../../src/sim/simulate.ts');
      const { judgeIndependently } = await import('../../src/sim/independent-judge.fixture.ts');
      return (seed) => judgeIndependently(simulate(seed));
    }
    case 'resends':
      return (await import('../../src/sim/resends.fixture.ts')).simulateResends;
    case 'kafka-sink':
      return (await import('../../src/sim/kafka/kafka-sink.fixture.ts')).simulateKafkaSink;
    case 'kafka-source':
      return (await import('../../src/sim/kafka/kafka-source.fixture.ts')).simulateKafkaSource;
    case 'kafka-engine':
      return (await import('../../src/sim/kafka/kafka-engine.fixture.ts')).simulateKafkaEngine;
  }
}

async function hunt(finder: Finder, seedsMax: number): Promise<Hunt> {
  const simulation = await loadSimulation(finder);
  const startMs = performance.now();
  const since = (): number => (performance.now() - startMs) / 1000;
  for (let seed = 0; seed < seedsMax; seed++) {
    try {
      await simulation(seed);
    } catch (error) {
      return { seeds: seed + 1, seconds: since(), error: String(error).split('\n', 1)[0]! };
    }
  }
  return { seeds: seedsMax, seconds: since(), error: null };
}

const [name, seeds, by] = process.argv.slice(2);
const known = allMutations.find(({ mutation }) => mutation.name === name);
if (known === undefined) throw new Error(`no mutation ${name}`);
mutate(known.mutation);
console.log(JSON.stringify(await hunt((by as Finder | undefined) ?? known.finder, Number(seeds))));
