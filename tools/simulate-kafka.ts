// `npm run simulate -- --kafka NAME`: Kafka's `sink` or `source` by themselves, or the whole
// `engine` over Kafka, on a simulated cluster of brokers.

import type { DrawnEngine } from '../src/sim/kafka/engine-draw.fixture.ts';
import { drawKafkaEngine } from '../src/sim/kafka/engine-draw.fixture.ts';
import { engineFaultTexts, shrinkEngine } from '../src/sim/kafka/engine-shrink.fixture.ts';
import { runKafkaEngine } from '../src/sim/kafka/kafka-engine.fixture.ts';
import { simulateKafkaSink, simulateRepeatingSink } from '../src/sim/kafka/kafka-sink.fixture.ts';
import { simulateKafkaSource } from '../src/sim/kafka/kafka-source.fixture.ts';

export type KafkaSeeds = {
  readonly from: number;
  readonly count: number;
  readonly failuresMax: number;
  /** Of the engine only. */
  readonly pipeline: string | undefined;
  readonly trace: boolean;
  /** Names the state of the code. */
  readonly commit: () => string;
};

type Counts = Readonly<Record<string, number>>;

const shrinkingRunsMax = 100;

/** True when no seed has failed. */
export async function simulateKafka(name: string, seeds: KafkaSeeds): Promise<boolean> {
  const { from, count, failuresMax, commit } = seeds;
  const simulation = simulationOf(name, seeds);
  const beganMs = performance.now();
  const totals = new Map<string, number>();
  let failures = 0;
  let seed = from;
  for (; seed < from + count && failures < failuresMax; seed++) {
    try {
      for (const [what, amount] of Object.entries(await simulation(seed))) {
        totals.set(what, (totals.get(what) ?? 0) + amount);
      }
    } catch (error) {
      failures++;
      console.error(`seed ${seed} failed at ${commit()}:`, error);
      const { pipeline } = seeds;
      const only = pipeline === undefined ? '' : ` --pipeline ${pipeline}`;
      const trace = name === 'engine' ? ' --trace' : '';
      console.error(
        `replay: npm run simulate -- --kafka ${name} --seeds 1 --from ${seed}${only}${trace}`,
      );
      if (name === 'engine') await explain(drawKafkaEngine(seed, pipeline));
    }
  }
  const seconds = ((performance.now() - beganMs) / 1000).toFixed(1);
  const counts = [...totals].map(([what, amount]) => `${Math.round(amount)} ${what}`).join(', ');
  console.log(`${seed - from} seeds of the Kafka ${name} in ${seconds} s: ${counts}`);
  console.log(`${failures} failed`);
  return failures === 0;
}

function simulationOf(
  name: string,
  { pipeline, trace }: KafkaSeeds,
): (seed: number) => Promise<Counts> {
  const onTrace = trace ? (line: string): void => console.log(line) : undefined;
  switch (name) {
    case 'sink':
      return simulateKafkaSink;
    case 'repeating-sink':
      return simulateRepeatingSink;
    case 'source':
      return simulateKafkaSource;
    case 'engine':
      return (seed) => runKafkaEngine(drawKafkaEngine(seed, pipeline), onTrace);
    default:
      throw new Error(`--kafka takes sink, repeating-sink, source or engine, not ${name}`);
  }
}

/** The fewest faults by which it still fails. */
async function explain(drawn: DrawnEngine): Promise<void> {
  const fails = async (one: DrawnEngine): Promise<boolean> => (await errorOf(one)) !== null;
  const least = await shrinkEngine(drawn, { fails, runsMax: shrinkingRunsMax });
  const { scenario, cluster } = drawn.simulation;
  const texts = engineFaultTexts(least);
  console.error(`it still fails with ${texts.length} of ${engineFaultTexts(drawn).length} events:`);
  for (const text of texts) console.error(`  ${text}`);
  const { mode, workerCount, pace } = cluster;
  console.error(`  of ${scenario.name}, ${mode}, ${workerCount} workers, ${JSON.stringify(pace)}`);
  console.error(`  by: ${String(await errorOf(least)).split('\n', 1)[0]}\n`);
}

async function errorOf(drawn: DrawnEngine): Promise<unknown> {
  try {
    await runKafkaEngine(drawn);
    return null;
  } catch (error) {
    return error;
  }
}
