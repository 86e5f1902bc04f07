// What befalls the processes under torture, drawn from a seed: who gets SIGKILL and for how long it
// is gone, and who stands still and then goes on as if nothing had happened.

import { Random } from '../../../src/base/random.ts';

export type Victim = 'host' | 'driver' | 'standby' | 'broker' | 'all';

export type TortureFault = {
  /** Since the job is in full run. */
  readonly atMs: number;
  readonly kind: 'kill' | 'freeze';
  readonly victim: Victim;
  /** Which one of them, from 0 to less than 1. */
  readonly which: number;
  /** Until another takes its place, or until it goes on. */
  readonly forMs: number;
};

type Choice = Pick<TortureFault, 'kind' | 'victim'> & {
  readonly weight: number;
  readonly forMs: readonly [min: number, max: number];
};

/** Standstills are shorter and longer than what a cluster and a broker put up with. */
const choices: readonly Choice[] = [
  { kind: 'kill', victim: 'host', weight: 5, forMs: [0, 1_500] },
  { kind: 'freeze', victim: 'host', weight: 4, forMs: [300, 6_000] },
  { kind: 'kill', victim: 'driver', weight: 3, forMs: [0, 1_500] },
  { kind: 'freeze', victim: 'driver', weight: 2, forMs: [300, 6_000] },
  { kind: 'kill', victim: 'standby', weight: 1, forMs: [0, 1_000] },
  { kind: 'kill', victim: 'broker', weight: 4, forMs: [0, 3_000] },
  { kind: 'freeze', victim: 'broker', weight: 4, forMs: [200, 5_000] },
  { kind: 'kill', victim: 'all', weight: 1, forMs: [0, 1_000] },
];

const pauseMs = { min: 100, max: 3_000 };

export function drawFaults(seed: number, seconds: number): readonly TortureFault[] {
  const random = new Random(seed);
  const faults: TortureFault[] = [];
  for (let atMs = 0; ;) {
    atMs += random.integer(pauseMs.min, pauseMs.max);
    if (atMs > seconds * 1000) return faults;
    const { kind, victim, forMs } = choiceBy(random.float());
    const which = random.float();
    faults.push({ atMs, kind, victim, which, forMs: random.integer(forMs[0], forMs[1]) });
  }
}

function choiceBy(share: number): Choice {
  let left = share * choices.reduce((sum, { weight }) => sum + weight, 0);
  return choices.find(({ weight }) => (left -= weight) < 0) ?? choices[0]!;
}
