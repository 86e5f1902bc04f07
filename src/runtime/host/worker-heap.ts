// How far the young part of a worker thread's heap may grow. V8 lets it grow with what survives, up
// to 100 MB and more, and then collects it seldom and for long: at 200 micro-batches a second 10 to
// 30 ms every two seconds, where small ones take 1 to 5 ms, for the same processor time in all
// (`npm run bench -- peers --only latency`: 310 MB instead of 580 for all processes).

import type { ResourceLimits } from 'node:worker_threads';

/** Three semi-spaces of 8 MB. The old part is as large as Node lets it be. */
export const workerHeap: ResourceLimits = { maxYoungGenerationSizeMb: 24 };
