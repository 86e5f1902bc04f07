// The entry of a thread that runs simulated measurements, one after another.

import { parentPort } from 'node:worker_threads';
import type { CellOptions } from './cell.ts';
import { runCell } from './cell.ts';

parentPort!.on('message', (cell: CellOptions) => parentPort!.postMessage(runCell(cell)));
