// `node hunt.ts NAME SEEDS`: runs seeds until one fails, with one mutation in the engine, or with
// none, and prints what it found as JSON. A process of its own, since modules are loaded once.

import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Mutation } from './mutations.ts';
import { mutations } from './mutations.ts';

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

async function hunt(seedsMax: number): Promise<Hunt> {
  const { simulate } = await import('../../src/sim/simulate.ts');
  const { judgeIndependently } = await import('../../src/sim/independent-judge.fixture.ts');
  const startMs = performance.now();
  const since = (): number => (performance.now() - startMs) / 1000;
  for (let seed = 0; seed < seedsMax; seed++) {
    try {
      judgeIndependently(simulate(seed));
    } catch (error) {
      return { seeds: seed + 1, seconds: since(), error: String(error).split('\n', 1)[0]! };
    }
  }
  return { seeds: seedsMax, seconds: since(), error: null };
}

const [name, seeds] = process.argv.slice(2);
const mutation = mutations.find((one) => one.name === name);
if (mutation === undefined) throw new Error(`no mutation ${name}`);
mutate(mutation);
console.log(JSON.stringify(await hunt(Number(seeds))));
