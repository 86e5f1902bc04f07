import { Random } from '../base/random.ts';
import { runCluster } from './cluster.ts';
import { drawFaults } from './faults.ts';
import { compareWithReference } from './reference-run.ts';
import { HashRunner } from './task-runner.ts';
const [fromS = '0', countS = '100', trace = '', modes = 'drizzle'] = process.argv.slice(2);
function shapeOf(r: Random): any {
  const n = r.integer(1, 4);
  const exchanges: any[] = [];
  for (let to = 1; to < n; to++)
    for (let from = 0; from < to; from++)
      if (r.chance(from === to - 1 ? 0.8 : 0.25)) exchanges.push({ from, to });
  return {
    planHash: 'x',
    exchanges,
    stages: Array.from({ length: n }, (_, id) => {
      const inputs = exchanges.flatMap((e, i) => (e.to === id ? [i] : []));
      const outputs = exchanges.flatMap((e, i) => (e.from === id ? [i] : []));
      return {
        source: inputs.length === 0,
        inputs,
        outputs,
        sinks: outputs.length === 0,
        partitionCount: r.integer(1, 4),
      };
    }),
  };
}
const tot = { rounds: 0, crashes: 0, zombies: 0, checkpoints: 0 };
let failed = 0;
for (let seed = +fromS; seed < +fromS + +countS; seed++) {
  const r = new Random(seed);
  const shape = shapeOf(r);
  const records = r.integer(0, 150);
  const options: any = {
    seed: r.uint32(),
    shape,
    workerCount: r.integer(1, 5),
    mode: r.pick(modes.split(',') as any),
    partMs: r.pick([3, 20]),
    pace: {
      groupSize: r.pick([1, 2, 3, 10, 100]),
      intervalMs: r.pick([0, 1, 5, 10, 60]),
      lookAhead: r.chance(0.75),
    },
    network: {
      delayMsMax: r.pick([0, 0.2, 5, 30]),
      stallChance: r.pick([0, 0.02, 0.2]),
      repeatChance: r.pick([0, 0.1, 0.5]),
    },
    costs: {
      taskMs: r.pick([0, 0.05, 2]),
      commitMsMax: r.pick([0, 2, 40]),
      storeMsMax: r.pick([0.1, 3, 50]),
      storeFailChance: r.pick([0, 0, 0.2]),
    },
    sources: {
      recordsPerTakeMax: r.pick([2, 10, 40]),
      quietChance: r.pick([0, 0.2]),
      quietMsMax: r.pick([3, 30]),
    },
    skewMsMax: r.pick([0, 1, 5]),
    recordCount: (s: number, p: number) => records + 7 * s + 3 * p,
    interventions: Array.from({ length: r.integer(0, 3) }, () => ({
      afterMs: r.float() * 300,
      event: r.chance(0.3)
        ? { kind: 'stop-requested' }
        : {
            kind: 'pace-changed',
            groupSize: r.pick([1, 2, 10]),
            intervalMs: r.pick([0, 1, 10]),
            urgent: r.chance(0.5),
          },
    })),
    runnerOf: () => new HashRunner(shape.stages.map((s: any) => s.outputs.length)),
    faults: drawFaults(r.fork()),
    onTrace: trace === 'trace' ? (l: string) => console.log(l) : undefined,
  };
  try {
    const run = runCluster(options);
    tot.rounds += run.rounds;
    tot.crashes += run.crashes;
    tot.zombies += run.zombies;
    tot.checkpoints += run.checkpoints;
    if (run.tasks.length > 0) compareWithReference(run, shape, options.runnerOf());
  } catch (e: any) {
    failed++;
    console.log(
      'SEED',
      seed,
      options.mode,
      'workers',
      options.workerCount,
      'stages',
      shape.stages.map((s: any) => s.partitionCount).join(','),
      JSON.stringify(shape.exchanges.map((e: any) => e.from + '>' + e.to)),
      e.stack.split('\n').slice(0, 5).join(' | '),
    );
    if (failed > 12) break;
  }
}
console.log(tot, 'failed', failed);
