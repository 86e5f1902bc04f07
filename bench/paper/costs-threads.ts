// What it costs to hand a frame from one thread to another and back: between a host's main thread
// and a worker's. Both threads count.

import process from 'node:process';
import { Worker } from 'node:worker_threads';
import { usedUs } from './costs-sockets.ts';

export type HopCost = {
  /** In bursts, as from a turn of the event loop, µs a frame. */
  readonly hopUs: number;
  /** One at a time: the thread that gets it has had nothing to do. */
  readonly aloneUs: number;
};

const burst = 8;

export async function threadHop(times: number): Promise<HopCost> {
  const code = `const { parentPort } = require('node:worker_threads');
    parentPort.on('message', (frames) => parentPort.postMessage(frames));`;
  const thread = new Worker(code, { eval: true });
  const frames = [new Uint8Array(new SharedArrayBuffer(64))];
  let left = 0;
  let onAll: () => void = () => {};
  thread.on('message', () => {
    if (--left === 0) onAll();
  });
  const thereAndBack = (count: number): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    onAll = resolve;
    left = count;
    for (let sent = 0; sent < count; sent++) thread.postMessage(frames);
    return promise;
  };
  const measure = async (count: number): Promise<number> => {
    for (let time = 0; time < times / 5; time++) await thereAndBack(count);
    const before = process.cpuUsage();
    for (let time = 0; time < times; time++) await thereAndBack(count);
    return usedUs(before) / (2 * times * count);
  };
  const hopUs = await measure(burst);
  const aloneUs = await measure(1);
  await thread.terminate();
  return { hopUs, aloneUs };
}
