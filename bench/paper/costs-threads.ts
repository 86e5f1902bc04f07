// What it costs to hand a frame from one thread to another and back: between a host's main thread
// and a worker's. In bursts, as from a turn of the event loop; both threads count.

import process from 'node:process';
import { Worker } from 'node:worker_threads';
import { usedUs } from './costs-sockets.ts';

const burst = 8;

/** Of one frame, one way, µs. */
export async function threadHop(times: number): Promise<number> {
  const code = `const { parentPort } = require('node:worker_threads');
    parentPort.on('message', (frames) => parentPort.postMessage(frames));`;
  const thread = new Worker(code, { eval: true });
  const frames = [new Uint8Array(new SharedArrayBuffer(64))];
  let left = 0;
  let onAll: () => void = () => {};
  thread.on('message', () => {
    if (--left === 0) onAll();
  });
  const thereAndBack = (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    onAll = resolve;
    left = burst;
    for (let sent = 0; sent < burst; sent++) thread.postMessage(frames);
    return promise;
  };
  for (let time = 0; time < times / 5; time++) await thereAndBack();
  const before = process.cpuUsage();
  for (let time = 0; time < times; time++) await thereAndBack();
  const us = usedUs(before) / (2 * times * burst);
  await thread.terminate();
  return us;
}
