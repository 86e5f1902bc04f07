// Runs simulated measurements on as many threads as there are cores. They share nothing, and the
// same seed gives the same result wherever it runs.

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Cell, CellOptions, Schedule } from './cell.ts';
import { runCell, scheduleName } from './cell.ts';

export type Curve = { readonly schedule: Schedule; readonly cells: readonly Cell[] };

export type AskedCurve = {
  readonly schedule: Schedule;
  readonly cells: readonly Omit<CellOptions, 'schedule'>[];
};

/** `threads`: 0 runs them in this one. */
export async function runCells(
  cells: readonly CellOptions[],
  threads: number,
): Promise<readonly Cell[]> {
  if (threads === 0) return cells.map(runCell);
  const results: Cell[] = [];
  // The last ones, of the most machines, take longest: they begin first.
  let next = cells.length;
  const work = async (): Promise<void> => {
    const thread = new Worker(new URL('./cell-worker.ts', import.meta.url));
    try {
      while (next > 0) {
        const index = --next;
        results[index] = await answer(thread, cells[index]!);
      }
    } finally {
      await thread.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(threads, cells.length) }, work));
  return results;
}

/** In all threads that the machine has cores for, or in this one. */
export async function runCurves(
  curves: readonly AskedCurve[],
  quick: boolean,
): Promise<readonly Curve[]> {
  // Cells of many machines are last in their curves, and shall be last among all.
  const asked = curves
    .flatMap(({ schedule, cells }, curve) =>
      cells.map((cell, index) => ({ curve, index, options: { ...cell, schedule } })),
    )
    .sort((a, b) => a.index - b.index);
  const options = asked.map((cell) => cell.options);
  const results = await runCells(options, quick ? 0 : availableParallelism());
  return curves.map(({ schedule }, curve) => {
    const own = results.filter((_, index) => asked[index]!.curve === curve);
    return { schedule, cells: own };
  });
}

/** The time of a micro-batch on a curve, ms. */
export function batchMsAt(curves: readonly Curve[], schedule: Schedule, machines: number): number {
  const curve = curves.find((own) => scheduleName(own.schedule) === scheduleName(schedule));
  const cell = curve?.cells.find((own) => own.machines === machines);
  if (cell === undefined) throw new Error(`no ${scheduleName(schedule)} at ${machines} machines`);
  return cell.batchMs;
}

function answer(thread: Worker, cell: CellOptions): Promise<Cell> {
  const { promise, resolve, reject } = Promise.withResolvers<Cell>();
  const onExit = (): void => reject(new Error('a simulation ended early'));
  thread.once('message', resolve);
  thread.once('error', reject);
  thread.once('exit', onExit);
  thread.postMessage(cell);
  return promise.finally(() => {
    thread.off('message', resolve);
    thread.off('error', reject);
    thread.off('exit', onExit);
  });
}
