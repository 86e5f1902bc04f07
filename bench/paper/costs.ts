// `npm run paper -- costs`: measures on processes and threads of this machine what the simulation
// of scale charges: messages at both ends, the way between two processes, a task without work.

import { runScale } from '../../src/sim/scale/scale-cluster.ts';
import type { ScaleCosts } from '../../src/sim/scale/scale-costs.ts';
import { machine, spread, spreadText } from '../figures.ts';
import type { Spread } from '../figures.ts';
import { Peer } from './costs-sockets.ts';
import { entryUs, taskCosts } from './costs-tasks.ts';
import { threadHop } from './costs-threads.ts';
import { timeDriver } from './driver-steps.ts';
import type { Figure, FigureOptions } from './figure.ts';
import { coresUsed, othersText, processorUse } from './processor-use.ts';
import type { CoresUsed } from './processor-use.ts';
import { oneStage } from './shapes.ts';

/** All in µs of a processor, but the delay, which is µs of time. */
export type MeasuredCosts = {
  readonly machine: string;
  readonly rounds: number;
  /** How busy the machine was meanwhile. */
  readonly cores: CoresUsed;
  readonly driverSendUs: Spread;
  readonly driverReceiveUs: Spread;
  readonly hostSendUs: Spread;
  readonly hostReceiveUs: Spread;
  readonly driverStepUs: Spread;
  readonly workerStepUs: Spread;
  /** Beginning to work on a message after having had nothing to do: processor time, as above. */
  readonly driverWakeUs: Spread;
  /** Of a host's main thread, or a worker's. */
  readonly wakeUs: Spread;
  /** From a worker's thread to its host's main thread or back, both ends. */
  readonly threadHopUs: Spread;
  readonly oneWayDelayUs: Spread;
  /** A source task without work; what a consumer's takes beyond it, and each block it takes in. */
  readonly taskUs: Spread;
  readonly consumerUs: Spread;
  readonly inputUs: Spread;
  /** Each producer's block in a message, written or read. */
  readonly entryUs: Spread;
  /** Assumed, not measured: the links of a data centre, which loopback is none of. */
  readonly linkDelayUs: number;
  readonly linkBytesPerMs: number;
};

type Key = Exclude<
  keyof MeasuredCosts,
  'machine' | 'rounds' | 'cores' | 'linkDelayUs' | 'linkBytesPerMs'
>;

/** One way between two machines of a data centre. */
const linkDelayUs = 100;
/** 10 Gbit/s. */
const linkBytesPerMs = 1.25e6;

/** The cost model that the measurements make: model (a) of the figures. */
export function measuredModel(measured: MeasuredCosts): ScaleCosts {
  const ms = (key: Key): number => measured[key].median / 1000;
  const hopEndMs = ms('threadHopUs') / 2;
  return {
    driver: {
      orderMs: 0,
      sendMs: ms('driverSendUs'),
      receiveMs: ms('driverReceiveUs') + ms('driverStepUs'),
      launchTaskMs: 0,
      completeTaskMs: 0,
      wakeMs: ms('driverWakeUs'),
    },
    host: {
      sendMs: hopEndMs + ms('hostSendUs'),
      receiveMs: ms('hostReceiveUs') + hopEndMs,
      wakeMs: ms('wakeUs'),
    },
    worker: {
      sendMs: hopEndMs,
      receiveMs: hopEndMs + ms('workerStepUs'),
      entryMs: ms('entryUs'),
      taskMs: ms('taskUs'),
      consumerMs: ms('consumerUs'),
      inputMs: ms('inputUs'),
      wakeMs: ms('wakeUs'),
    },
    link: { delayMs: measured.linkDelayUs / 1000, bytesPerMs: measured.linkBytesPerMs },
  };
}

export const costsFigure: Figure<MeasuredCosts> = {
  name: 'costs',
  what: 'what messages and tasks cost on this machine',
  run({ quick }: FigureOptions) {
    return measureCosts({ rounds: quick ? 1 : 5, quick });
  },
  tell: (measured) =>
    Object.entries(measured).flatMap(([key, value]) => {
      if (typeof value !== 'object' || !('median' in value)) return [];
      const { min, median, max } = value;
      return [`${key.padEnd(18)} ${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)}) µs`];
    }),
  shows(measured) {
    const us = (key: Key): string => spreadText(measured[key], 1);
    return (
      `Processor time of a message: the driver ${us('driverSendUs')} µs to send and ` +
      `${us('driverReceiveUs')} to receive, a host ${us('hostSendUs')} and ` +
      `${us('hostReceiveUs')}; ${us('driverWakeUs')} more where the driver had nothing to do, ` +
      `${us('wakeUs')} a host's or a worker's thread. A task without work: ` +
      `${us('taskUs')} µs${othersText(measured.cores)}.`
    );
  },
  plot: () => null,
};

/** In about four seconds a round. */
export async function measureCosts(options: {
  readonly rounds: number;
  readonly quick: boolean;
}): Promise<MeasuredCosts> {
  const { rounds, quick } = options;
  const from = processorUse();
  const samples = new Map<Key, number[]>();
  // Messages in a row go to the first, over as many connections as there might be hosts.
  const peers = [await Peer.start(quick ? 8 : 64)];
  while (peers.length < (quick ? 2 : 4)) peers.push(await Peer.start(1));
  const messages = quick ? 20 : 200;
  await peers[0]!.send(messages);
  await peers[0]!.receive(messages);
  await Peer.echo(peers, quick ? 20 : 1000);
  for (let round = 0; round < rounds; round++) {
    const one = await measureOnce(peers, { messages, quick });
    for (const [key, value] of Object.entries(one)) {
      samples.set(key as Key, [...(samples.get(key as Key) ?? []), value]);
    }
  }
  const cores = coresUsed(from, processorUse());
  for (const peer of peers) peer.end();
  const spreads = Object.fromEntries([...samples].map(([key, values]) => [key, spread(values)]));
  return {
    machine: machine(),
    rounds,
    cores,
    ...(spreads as Record<Key, Spread>),
    linkDelayUs,
    linkBytesPerMs,
  };
}

async function measureOnce(
  peers: readonly Peer[],
  { messages, quick }: { readonly messages: number; readonly quick: boolean },
): Promise<Record<Key, number>> {
  const times = quick ? 50 : 1000;
  const sent = await peers[0]!.send(messages);
  const received = await peers[0]!.receive(messages);
  const hopUs = await threadHop(times);
  const echo = await Peer.echo(peers, times);
  // What a message takes alone is more than in a row: its receiver has to wake, with cold caches.
  // There the main thread wakes, a worker's thread, and the main thread again.
  const driverWakeUs = Math.max(0.1, echo.hereUs - sent.hereUs - received.hereUs);
  const wakeUs = Math.max(0.1, (echo.thereUs - sent.thereUs - received.thereUs - 2 * hopUs) / 3);
  const steps = stepsUs(quick ? 100 : 1000);
  const tasks = await taskCosts(quick ? 100 : 500);
  const driver = timeDriver({
    shape: oneStage(quick ? 100 : 1000),
    workers: quick ? 100 : 1000,
    groupSize: 10,
    intervalMs: 10,
    groups: 30,
  });
  return {
    driverSendUs: sent.hereUs,
    hostReceiveUs: sent.thereUs,
    driverReceiveUs: received.hereUs,
    hostSendUs: received.thereUs,
    driverStepUs: driver.monitoredUs / driver.reports,
    workerStepUs: steps,
    driverWakeUs,
    wakeUs,
    threadHopUs: hopUs,
    oneWayDelayUs: Math.max(1, (echo.elapsedUs - echo.hereUs - echo.thereUs) / 2),
    ...tasks,
    entryUs: entryUs(times),
  };
}

/** What a worker's machine does about a message, in a simulated cluster, µs. */
function stepsUs(workers: number): number {
  let elapsedMs = 0;
  let steps = 0;
  const nothing = { sendMs: 0.01, receiveMs: 0.01, wakeMs: 0 };
  runScale({
    seed: 1,
    shape: oneStage(workers),
    workerCount: workers,
    mode: 'drizzle',
    pace: { groupSize: 2, intervalMs: 0, lookAhead: false },
    costs: {
      driver: { ...nothing, orderMs: 0, launchTaskMs: 0, completeTaskMs: 0 },
      host: nothing,
      worker: { ...nothing, entryMs: 0, taskMs: 0.01, consumerMs: 0, inputMs: 0 },
      link: { delayMs: 0.1, bytesPerMs: linkBytesPerMs },
    },
    workMs: [0.1],
    jitter: 0,
    blockBytes: 0,
    batches: 40,
    timeStep: (step) => {
      const startMs = performance.now();
      step();
      const tookMs = performance.now() - startMs;
      // It was interrupted: somebody else's work is no cost of a step.
      if (tookMs > 0.2) return;
      elapsedMs += tookMs;
      steps++;
    },
  });
  return (1000 * elapsedMs) / steps;
}
