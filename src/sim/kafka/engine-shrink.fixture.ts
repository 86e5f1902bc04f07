// Cuts a failing run of the engine over Kafka down: faults of workers and drivers, interventions,
// events of brokers, and what becomes of requests, each by itself.

import { faultText } from '../faults.ts';
import { fewest, itemsOf, withOnly } from '../shrink.ts';
import type { DrawnEngine } from './engine-draw.fixture.ts';
import type { KafkaFaultModel } from './kafka-faults.ts';

/** Shares of requests that something happens to. */
const shares = [
  'refused',
  'lostRequests',
  'lostReplies',
  'lateRequests',
  'slowMarkers',
  'stale',
] as const satisfies readonly (keyof KafkaFaultModel)[];

export async function shrinkEngine(
  drawn: DrawnEngine,
  of: { readonly fails: (drawn: DrawnEngine) => Promise<boolean>; readonly runsMax: number },
): Promise<DrawnEngine> {
  const search = fewest(itemCount(drawn));
  let step = search.next();
  for (let runs = 0; step.done !== true; runs++) {
    const isBad = runs < of.runsMax && (await of.fails(keep(drawn, step.value)));
    step = search.next(isBad);
  }
  return keep(drawn, step.value);
}

/** What goes wrong, a line each. */
export function engineFaultTexts({ simulation, kafka }: DrawnEngine): readonly string[] {
  const { faults } = kafka;
  return [
    ...(simulation.faults?.faults ?? []).map(faultText),
    ...simulation.cluster.interventions.map((each) => JSON.stringify(each)),
    ...faults.events.map((event) => `broker: ${JSON.stringify(event)}`),
    ...shares.flatMap((share) => {
      return faults[share] > 0
        ? [`brokers until ${faults.healMs} ms: ${share} ${faults[share]}`]
        : [];
    }),
  ];
}

function itemCount({ simulation, kafka }: DrawnEngine): number {
  return itemsOf(simulation) + kafka.faults.events.length + shares.length;
}

function keep(drawn: DrawnEngine, kept: readonly number[]): DrawnEngine {
  const { simulation, kafka } = drawn;
  const { faults } = kafka;
  const keeps = new Set(kept);
  const first = itemsOf(simulation);
  const events = faults.events.filter((_, index) => keeps.has(first + index));
  const isKept = (at: number): boolean => keeps.has(first + faults.events.length + at);
  const left = Object.fromEntries(
    shares.map((share, at) => [share, isKept(at) ? faults[share] : 0]),
  );
  return {
    ...drawn,
    simulation: withOnly(simulation, kept),
    kafka: { ...kafka, faults: { ...faults, ...left, events } },
  };
}
