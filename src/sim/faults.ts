// What goes wrong in a simulated cluster, and when. Each seed turns on some kinds of faults only,
// so that rare combinations come up (swarm testing: Groce et al., ISSTA 2012).

import type { Random } from '../base/random.ts';

export type Fault =
  | {
      /** The worker is gone with all it had; `backMs` later another one joins. */
      readonly kind: 'crash';
      readonly afterMs: number;
      /** Which of the workers that are alive, as a share of them. */
      readonly victim: number;
      /** From the crash until the driver hears of it, ms. */
      readonly detectMs: number;
      readonly backMs: number | null;
    }
  | {
      /** The worker stands still and then goes on; meanwhile it may be declared dead. */
      readonly kind: 'pause';
      readonly afterMs: number;
      readonly victim: number;
      readonly forMs: number;
      /** The driver gives it up after this time, ms; null: it does not notice. */
      readonly detectMs: number | null;
    };

export type FaultModel = {
  readonly faults: readonly Fault[];
  readonly checkpointIntervalMs: number;
};

const faultKinds: readonly Fault['kind'][] = ['crash', 'pause'];

export function drawFaults(random: Random): FaultModel {
  const kinds = faultKinds.filter(() => random.chance(0.7));
  const spreadMs = random.pick([50, 300, 1500]);
  const faults: Fault[] = [];
  for (let left = random.integer(0, 6); left > 0 && kinds.length > 0; left--) {
    const kind = kinds[random.integer(0, kinds.length - 1)]!;
    const afterMs = random.float() * spreadMs;
    const victim = random.float();
    const detectMs = random.float() * random.pick([1, 20, 200]);
    if (kind === 'crash') {
      const backMs = random.chance(0.7) ? random.float() * 200 : null;
      faults.push({ kind, afterMs, victim, detectMs, backMs });
    } else {
      const forMs = random.float() * random.pick([20, 400]);
      const noticed = random.chance(0.7);
      faults.push({ kind, afterMs, victim, forMs, detectMs: noticed ? detectMs : null });
    }
  }
  return { faults, checkpointIntervalMs: random.pick([20, 100, 1000]) };
}
