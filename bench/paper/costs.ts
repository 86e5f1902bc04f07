// `npm run paper -- costs`: measures on processes and threads of this machine what the simulation
// of scale charges: messages at both ends, the way between two processes, a task without work.

import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { once } from 'node:events';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { ByteWriter } from '../../src/control/protocol/byte-writer.ts';
import { writeDriverMessage } from '../../src/control/protocol/driver-codec.ts';
import { readHostMessage } from '../../src/control/protocol/host-messages.ts';
import type { WorkerId } from '../../src/control/protocol/ids.ts';
import type { DriverMessage } from '../../src/control/protocol/messages.ts';
import { readWorkerMessage } from '../../src/control/protocol/worker-codec.ts';
import { Connection } from '../../src/runtime/cluster/connection.ts';
import { runScale } from '../../src/sim/scale/scale-cluster.ts';
import type { ScaleCosts } from '../../src/sim/scale/scale-costs.ts';
import { machine, spread } from '../figures.ts';
import type { Spread } from '../figures.ts';
import { echo, noHandles, order } from './costs-messages.ts';
import type { FromPeer, ToPeer } from './costs-peer.ts';
import { idleOneStage, tasksPerWorker } from './idle-one-stage.ts';
import type { Figure, FigureOptions } from './figure.ts';
import { oneStage } from './shapes.ts';

/** All in µs of a processor, but the delay, which is µs of time. */
export type MeasuredCosts = {
  readonly machine: string;
  readonly rounds: number;
  readonly driverSendUs: Spread;
  readonly driverReceiveUs: Spread;
  readonly hostSendUs: Spread;
  readonly hostReceiveUs: Spread;
  readonly driverStepUs: Spread;
  readonly workerStepUs: Spread;
  /** From a worker's thread to its host's main thread or back, both ends. */
  readonly threadHopUs: Spread;
  readonly oneWayDelayUs: Spread;
  readonly taskUs: Spread;
  /** Assumed, not measured: the links of a data centre, which loopback is none of. */
  readonly linkDelayUs: number;
  readonly linkBytesPerMs: number;
};

type Key = Exclude<keyof MeasuredCosts, 'machine' | 'rounds' | 'linkDelayUs' | 'linkBytesPerMs'>;

/** One way between two machines of a data centre. */
const linkDelayUs = 100;
/** 10 Gbit/s. */
const linkBytesPerMs = 1.25e6;

/** The cost model that the measurements make: model (a) of the figures. */
export function measuredModel(measured: MeasuredCosts): ScaleCosts {
  const ms = (key: Key): number => measured[key].median / 1000;
  return {
    driver: {
      orderMs: 0,
      sendMs: ms('driverSendUs'),
      receiveMs: ms('driverReceiveUs') + ms('driverStepUs'),
      launchTaskMs: 0,
      completeTaskMs: 0,
    },
    worker: {
      sendMs: ms('hostSendUs') + ms('threadHopUs'),
      receiveMs: ms('hostReceiveUs') + ms('threadHopUs') + ms('workerStepUs'),
      taskMs: ms('taskUs'),
    },
    link: { delayMs: measured.linkDelayUs / 1000, bytesPerMs: measured.linkBytesPerMs },
  };
}

export const costsFigure: Figure<MeasuredCosts> = {
  name: 'costs',
  what: 'what messages and tasks cost on this machine',
  async run({ quick }: FigureOptions) {
    const rounds = quick ? 1 : 5;
    const samples = new Map<Key, number[]>();
    const add = (key: Key, value: number): void => {
      samples.set(key, [...(samples.get(key) ?? []), value]);
    };
    const peer = await Peer.start(quick ? 8 : 64);
    const messages = quick ? 20 : 300;
    await peer.send(messages);
    await peer.receive(messages);
    for (let round = 0; round < rounds; round++) {
      const sent = await peer.send(messages);
      add('driverSendUs', sent.hereUs);
      add('hostReceiveUs', sent.thereUs);
      const received = await peer.receive(messages);
      add('driverReceiveUs', received.hereUs);
      add('hostSendUs', received.thereUs);
      const echoUs = await peer.echoUs(quick ? 50 : 1000);
      const processorsUs = (sent.hereUs + sent.thereUs + received.hereUs + received.thereUs) / 2;
      add('oneWayDelayUs', Math.max(1, echoUs / 2 - processorsUs));
      add('threadHopUs', await threadHopUs(quick ? 50 : 1000));
      const steps = stepsUs(quick ? 100 : 1000);
      add('driverStepUs', steps.driverUs);
      add('workerStepUs', steps.workerUs);
      add('taskUs', await taskUs(quick ? 200 : 1000));
    }
    peer.end();
    const of = (key: Key): Spread => spread(samples.get(key)!);
    return {
      machine: machine(),
      rounds,
      driverSendUs: of('driverSendUs'),
      driverReceiveUs: of('driverReceiveUs'),
      hostSendUs: of('hostSendUs'),
      hostReceiveUs: of('hostReceiveUs'),
      driverStepUs: of('driverStepUs'),
      workerStepUs: of('workerStepUs'),
      threadHopUs: of('threadHopUs'),
      oneWayDelayUs: of('oneWayDelayUs'),
      taskUs: of('taskUs'),
      linkDelayUs,
      linkBytesPerMs,
    };
  },
  tell: (measured) =>
    Object.entries(measured).flatMap(([key, value]) => {
      if (typeof value !== 'object') return [];
      const { min, median, max } = value;
      return [`${key.padEnd(18)} ${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)}) µs`];
    }),
  plot: () => null,
};

type BothEnds = { readonly hereUs: number; readonly thereUs: number };

class Peer {
  readonly #process: ChildProcess;
  readonly #connections: Connection[];
  #onReport: () => void = () => {};

  private constructor(child: ChildProcess, sockets: readonly Socket[]) {
    this.#process = child;
    this.#connections = sockets.map((socket) => this.#open(socket));
  }

  static async start(count: number): Promise<Peer> {
    const sockets: Socket[] = [];
    const server = createServer({ noDelay: true }, (socket) => sockets.push(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const child = fork(fileURLToPath(new URL('./costs-peer.ts', import.meta.url)));
    const { port } = server.address() as AddressInfo;
    await Peer.#ask(child, { kind: 'dial', port, count });
    while (sockets.length < count) await immediate();
    server.close();
    return new Peer(child, sockets);
  }

  static async #ask(child: ChildProcess, message: ToPeer): Promise<FromPeer> {
    const answer = once(child, 'message') as Promise<[FromPeer]>;
    child.send(message);
    return (await answer)[0];
  }

  #open(socket: Socket): Connection {
    const connection = new Connection({
      peer: 'a measured process',
      socket,
      allocate: (bytes) => new Uint8Array(bytes),
      timeoutMs: 60_000,
    });
    connection.listen({
      onFrame: (frame) => {
        const decoded = readHostMessage(frame);
        if (!decoded.ok || decoded.value.kind !== 'to-driver') return;
        if (readWorkerMessage(decoded.value.message, noHandles).ok) this.#onReport();
      },
      onClosed: () => {},
    });
    return connection;
  }

  /** One order on each connection a turn, encoded once, as to so many hosts. */
  async send(rounds: number): Promise<BothEnds> {
    const frames = rounds * this.#connections.length;
    await Peer.#ask(this.#process, { kind: 'take', frames });
    const done = once(this.#process, 'message') as Promise<[FromPeer]>;
    const before = process.cpuUsage();
    for (let round = 0; round < rounds; round++) {
      const message = encoded(order);
      for (const [index, connection] of this.#connections.entries()) {
        connection.tell({ kind: 'to-worker', worker: (index + 1) as WorkerId, message });
      }
      await immediate();
      await immediate();
    }
    const hereUs = usedUs(before) / frames;
    const [there] = await done;
    return { hereUs, thereUs: there.kind === 'done' ? (there.cpuMs * 1000) / frames : NaN };
  }

  async receive(rounds: number): Promise<BothEnds> {
    const frames = rounds * this.#connections.length;
    const all = Promise.withResolvers<void>();
    let left = frames;
    this.#onReport = () => {
      if (--left === 0) all.resolve();
    };
    const before = process.cpuUsage();
    const there = await Peer.#ask(this.#process, { kind: 'flood', rounds });
    await all.promise;
    const hereUs = usedUs(before) / frames;
    return { hereUs, thereUs: there.kind === 'done' ? (there.cpuMs * 1000) / frames : NaN };
  }

  /** There and back on one connection, the median. */
  async echoUs(times: number): Promise<number> {
    const message = encoded(echo);
    const roundTrips: number[] = [];
    for (let time = 0; time < times; time++) {
      const back = Promise.withResolvers<void>();
      this.#onReport = () => back.resolve();
      const startMs = performance.now();
      this.#connections[0]!.tell({ kind: 'to-worker', worker: 1 as WorkerId, message });
      await back.promise;
      roundTrips.push(1000 * (performance.now() - startMs));
    }
    return spread(roundTrips).median;
  }

  end(): void {
    for (const connection of this.#connections) connection.destroy(null);
    if (this.#process.connected) this.#process.disconnect();
  }
}

function encoded(message: DriverMessage): Uint8Array {
  const writer = new ByteWriter();
  writeDriverMessage(writer, message, noHandles);
  return Buffer.concat(writer.finish());
}

/** In bursts, as from a turn of the event loop. Both threads of this process count. */
async function threadHopUs(times: number): Promise<number> {
  const code = `require('node:worker_threads').parentPort.on('message', (frames) => {
    require('node:worker_threads').parentPort.postMessage(frames);
  })`;
  const thread = new Worker(code, { eval: true });
  const frames = [new Uint8Array(new SharedArrayBuffer(64))];
  let left = 0;
  let onAll: () => void = () => {};
  thread.on('message', () => {
    if (--left === 0) onAll();
  });
  const there = async (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    onAll = resolve;
    left = burst;
    for (let count = 0; count < burst; count++) thread.postMessage(frames);
    await promise;
  };
  for (let time = 0; time < 200; time++) await there();
  const before = process.cpuUsage();
  for (let time = 0; time < times; time++) await there();
  const us = usedUs(before) / (2 * times * burst);
  await thread.terminate();
  return us;
}

const burst = 8;

/** What the machines themselves do about a message, in a simulated cluster. */
function stepsUs(workers: number): { readonly driverUs: number; readonly workerUs: number } {
  const elapsedMs = { driver: 0, worker: 0 };
  const steps = { driver: 0, worker: 0 };
  runScale({
    seed: 1,
    shape: oneStage(workers),
    workerCount: workers,
    mode: 'drizzle',
    pace: { groupSize: 2, intervalMs: 0, lookAhead: false },
    costs: {
      driver: { orderMs: 0, sendMs: 0.01, receiveMs: 0.01, launchTaskMs: 0, completeTaskMs: 0 },
      worker: { sendMs: 0.01, receiveMs: 0.01, taskMs: 0.01 },
      link: { delayMs: 0.1, bytesPerMs: linkBytesPerMs },
    },
    workMs: [0.1],
    jitter: 0,
    blockBytes: 0,
    batches: 60,
    machineStep: (which, step) => {
      const startMs = performance.now();
      step();
      elapsedMs[which] += performance.now() - startMs;
      steps[which]++;
    },
  });
  return {
    driverUs: (1000 * elapsedMs.driver) / steps.driver,
    workerUs: (1000 * elapsedMs.worker) / steps.worker,
  };
}

/** A worker thread that runs tasks without work one after another. */
async function taskUs(measureMs: number): Promise<number> {
  const job = await idleOneStage.run({
    workers: 1,
    interval: 0,
    groupSize: 1000,
    module: new URL('./idle-one-stage.ts', import.meta.url),
  });
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  await sleep(500);
  const before = job.status();
  await sleep(measureMs);
  const after = job.status();
  await job.stop();
  const tasks = (after.batches - before.batches) * tasksPerWorker;
  return (1000 * (after.elapsedMs - before.elapsedMs)) / tasks;
}

function usedUs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function immediate(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
