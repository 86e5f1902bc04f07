// What goes wrong in a simulated Kafka cluster and on the way to it. Each seed turns on some kinds
// only, as in ../faults.ts. Everything stops at `healMs`, apart from what is still on its way.

import type { Random } from '../../base/random.ts';

/** Times are ms since the start. */
export type KafkaFault =
  | {
      /** A partition gets another leader; what was not committed may be lost. */
      readonly kind: 'leader-change';
      readonly atMs: number;
      /** A share of all partitions. */
      readonly victim: number;
      /** For so long nobody leads. */
      readonly forMs: number;
    }
  | {
      /** Transactional ids get another coordinator, which first has to read. */
      readonly kind: 'coordinator-move';
      readonly atMs: number;
      readonly victim: number;
      readonly forMs: number;
    }
  | {
      readonly kind: 'broker-down';
      readonly atMs: number;
      readonly victim: number;
      readonly forMs: number;
    }
  | {
      /** What a client has sent to a broker arrives later, and what it sends then earlier. */
      readonly kind: 'stuck-connection';
      readonly atMs: number;
      readonly victim: number;
      readonly forMs: number;
    };

export const kafkaFaultKinds = [
  'leader-change',
  'coordinator-move',
  'broker-down',
  'stuck-connection',
] as const satisfies readonly KafkaFault['kind'][];

/** Shares of all requests, and how late things come at most. */
export type KafkaFaultModel = {
  readonly healMs: number;
  readonly refused: number;
  readonly lostRequests: number;
  readonly lostReplies: number;
  /** The client hears nothing; the broker gets it some time later. */
  readonly lateRequests: number;
  readonly lateMsMax: number;
  readonly slowMarkers: number;
  readonly slowMarkerMsMax: number;
  /** Share of answers about the cluster that are out of date. */
  readonly stale: number;
  readonly events: readonly KafkaFault[];
};

export const noKafkaFaults: KafkaFaultModel = {
  healMs: 0,
  refused: 0,
  lostRequests: 0,
  lostReplies: 0,
  lateRequests: 0,
  lateMsMax: 0,
  slowMarkers: 0,
  slowMarkerMsMax: 0,
  stale: 0,
  events: [],
};

export function drawKafkaFaults(random: Random, healMs: number): KafkaFaultModel {
  const share = (...shares: readonly number[]): number =>
    shares[random.integer(0, shares.length - 1)]!;
  const chance = share(0.3, 0.5, 0.8);
  const pool = kafkaFaultKinds.filter(() => random.chance(chance));
  const count = pool.length === 0 ? 0 : random.integer(1, share(2, 6, 15, 40));
  // Most of what is to be disturbed takes less than a second.
  const spreadMs = Math.min(healMs, share(30, 200, 1000, 10_000));
  const lastingMsMax = share(20, 300, 3000);
  const events = Array.from({ length: count }, (): KafkaFault => {
    const kind = pool[random.integer(0, pool.length - 1)]!;
    const atMs = random.float() * spreadMs;
    const forMs = Math.min(random.float() * lastingMsMax, healMs - atMs);
    return { kind, atMs, victim: random.float(), forMs };
  });
  return {
    healMs,
    refused: share(0, 0, 0.01, 0.05),
    lostRequests: share(0, 0, 0.01, 0.1),
    lostReplies: share(0, 0, 0.02, 0.1, 0.2),
    lateRequests: share(0, 0, 0.02, 0.1, 0.2),
    lateMsMax: share(5, 50, 500, 5000),
    slowMarkers: share(0, 0, 0.2, 0.5),
    slowMarkerMsMax: share(10, 200, 2000),
    stale: share(0, 0, 0.2),
    events: events.sort((a, b) => a.atMs - b.atMs),
  };
}
