// A seed says what befalls a run, in which mode it is, and where it logs its ranges.

import { Random } from '../../../src/base/random.ts';
import type { KafkaServer } from '../kafka-server.fixture.ts';
import { drawFaults } from './torture-faults.fixture.ts';
import { torture } from './torture.fixture.ts';
import type { TortureResult } from './torture.fixture.ts';

export type SeededResult = TortureResult & {
  /** The settings, for messages. */
  readonly what: string;
};

const recordsPerSecond = 800;
const hosts = 3;

export async function tortureBySeed(
  kafka: KafkaServer,
  { seed, seconds }: { readonly seed: number; readonly seconds: number },
): Promise<SeededResult> {
  // Another stream of numbers than that of the faults.
  const random = new Random(seed ^ 0x70_17_0e);
  const rangeLog = random.chance(0.5) ? 'kafka' : 'folder';
  const modes = ['drizzle', 'drizzle', 'drizzle', 'bsp', 'continuous'] as const;
  const mode = modes[random.integer(0, modes.length - 1)]!;
  const intervalMs = mode === 'continuous' ? 200 : 50;
  const options = ['--mode', mode, '--interval', `${intervalMs}ms`, '--partitions', '4'];
  const name = `torture-${seed}`;
  const faults = drawFaults(seed, seconds);
  const result = await torture({
    kafka,
    name,
    faults,
    recordsPerSecond,
    hosts,
    rangeLog,
    options,
  });
  return { ...result, what: `${mode}, ranges in a ${rangeLog}, ${faults.length} faults` };
}
