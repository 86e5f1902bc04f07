// What tasks without work cost a worker: of a source, of a consumer, and for each block that the
// consumer takes in; and what a block in a message costs to write and to read.

import process from 'node:process';
import type { Pipeline } from '../../src/api/pipeline.ts';
import { ByteWriter } from '../../src/control/protocol/byte-writer.ts';
import { readPeerMessage, writePeerMessage } from '../../src/control/protocol/peer-codec.ts';
import type {
  BatchNumber,
  Incarnation,
  PlacementVersion,
  Term,
} from '../../src/control/protocol/ids.ts';
import type { PeerMessage } from '../../src/control/protocol/messages.ts';
import type { ExchangeOutput } from '../../src/data/task/task.ts';
import type { SourceId } from '../../src/plan/logical-plan.ts';
import { messageCodecs } from '../../src/runtime/cluster/handle-codecs.ts';
import { usedUs } from './costs-sockets.ts';
import { idleOneStage, tasksPerWorker } from './idle-one-stage.ts';
import { idleTwoStages } from './idle-two-stages.ts';
import { idleWide, wideTasksPerWorker } from './idle-wide.ts';

export type TaskCosts = {
  readonly taskUs: number;
  /** Beyond `taskUs`. */
  readonly consumerUs: number;
  readonly inputUs: number;
};

const consumers = 8;

/** Differences of what was measured may vanish, but nothing costs nothing. */
const leastUs = 0.01;

/**
 * Of one worker thread that runs micro-batches one after another, in groups of a thousand. `cpuMs`:
 * processor time that each of three jobs is measured for.
 */
export async function taskCosts(cpuMs: number): Promise<TaskCosts> {
  const oneUs = await batchUs(idleOneStage, './idle-one-stage.ts', cpuMs);
  const twoUs = await batchUs(idleTwoStages, './idle-two-stages.ts', cpuMs);
  const wideUs = await batchUs(idleWide, './idle-wide.ts', cpuMs);
  const taskUs = oneUs / tasksPerWorker;
  // Of a micro-batch: producers, and consumers that each take a block of every producer.
  const more = wideTasksPerWorker - tasksPerWorker;
  const inputUs = Math.max(leastUs, ((wideUs - twoUs) / more - taskUs) / consumers);
  const ownUs = (twoUs - oneUs) / consumers - tasksPerWorker * inputUs;
  return { taskUs, consumerUs: Math.max(leastUs, ownUs - taskUs), inputUs };
}

/** Processor time of the whole process; of groups so large, next to nothing is the driver's. */
async function batchUs(
  pipeline: Pick<Pipeline, 'run'>,
  file: string,
  cpuMs: number,
): Promise<number> {
  const job = await pipeline.run({
    workers: 1,
    interval: 0,
    groupSize: 1000,
    partitions: consumers,
    module: new URL(file, import.meta.url),
  });
  while (job.status().batches < 100) await sleep(20);
  await used(cpuMs);
  const from = job.status().batches;
  const us = (await used(cpuMs)) / (job.status().batches - from);
  await job.stop();
  return us;
}

/** Waits until this process has used so much; gives what it was, µs. */
async function used(cpuMs: number): Promise<number> {
  const before = process.cpuUsage();
  do await sleep(20);
  while (usedUs(before) < 1000 * cpuMs);
  return usedUs(before);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const entries = 16;

/** A block of one more producer in a message, written or read, the mean of both, µs. */
export function entryUs(times: number): number {
  const codecs = messageCodecs(['clicks' as SourceId]);
  const cost = (count: number): number => {
    const message = emptyBlocks(count);
    const there = (): void => {
      const writer = new ByteWriter();
      writePeerMessage(writer, message, codecs);
      const read = readPeerMessage(Buffer.concat(writer.finish()), codecs);
      if (!read.ok) throw new Error('blocks cannot be read');
    };
    for (let time = 0; time < times; time++) there();
    const before = process.threadCpuUsage();
    for (let time = 0; time < times; time++) there();
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / times;
  };
  const oneUs = cost(1);
  return Math.max(leastUs, (cost(1 + entries) - oneUs) / entries / 2);
}

function emptyBlocks(count: number): PeerMessage {
  const range = {
    source: 'clicks' as SourceId,
    partition: 0,
    batch: 30_000,
    from: 0,
    to: 0,
    batchTimeMs: 300_000,
    watermarkMs: 299_000,
    idle: false,
    wasIdle: false,
    activeMs: 300_000,
    ended: false,
  };
  const header = { watermarkMs: 299_000, idle: false, batchTimeMs: 300_000 };
  const output: ExchangeOutput = { header, blocks: Array.from({ length: consumers }, () => null) };
  return {
    kind: 'blocks',
    term: 1 as Term,
    incarnation: 1 as Incarnation,
    version: 0 as PlacementVersion,
    batch: 30_000 as BatchNumber,
    exchange: 0,
    only: null,
    entries: Array.from({ length: count }, (_, producer) => {
      return { producer, part: 0, last: true, range, output };
    }),
  };
}
