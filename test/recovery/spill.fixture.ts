// A program that runs the tests' pipeline with options of its own, as JSON behind the job, and
// prints after each status what the workers keep.

import process from 'node:process';
import type { RunOptions } from '../../src/index.ts';
import orders from './jobs.fixture.ts';

const options = JSON.parse(process.argv[3]!) as RunOptions;
const running = await orders.run({
  ...options,
  module: new URL('./jobs.fixture.ts', import.meta.url),
  statusInterval: 20,
  onStatus: ({ keptBytes, spilledBytes, inputHeldBack }) => {
    process.stdout.write(`${JSON.stringify({ keptBytes, spilledBytes, inputHeldBack })}\n`);
  },
});
process.on('SIGINT', () => void running.stop({ drain: true }));
await running.done;
