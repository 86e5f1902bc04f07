// What all processes of an engine use together from now on, and the most memory they had at once.

import process from 'node:process';
import { coresUsed, processorUse } from '../paper/processor-use.ts';
import type { ProcessorUse } from '../paper/processor-use.ts';
import { processTree } from './process-tree.ts';

const sampleMs = 500;

export type Used = {
  readonly cpuSeconds: number;
  /** Pages that processes share count once for each. */
  readonly peakRssBytes: number;
  /** Cores that programs used which are not part of the benchmark. */
  readonly otherCores: number | null;
};

export class Meter {
  readonly #roots: () => readonly number[];
  readonly #from: number;
  readonly #machine: ProcessorUse;
  readonly #sampling: NodeJS.Timeout;
  #peakRssBytes = 0;

  constructor(roots: () => readonly number[]) {
    this.#roots = roots;
    this.#from = cpuSecondsOf(roots());
    this.#machine = machineUse();
    this.#sampling = setInterval(() => this.#sample(), sampleMs).unref();
  }

  get cpuSeconds(): number {
    return cpuSecondsOf(this.#roots()) - this.#from;
  }

  end(): Used {
    clearInterval(this.#sampling);
    this.#sample();
    const { others } = coresUsed(this.#machine, machineUse());
    return { cpuSeconds: this.cpuSeconds, peakRssBytes: this.#peakRssBytes, otherCores: others };
  }

  #sample(): void {
    let bytes = 0;
    for (const { rssBytes } of processTree(this.#roots()).values()) bytes += rssBytes;
    this.#peakRssBytes = Math.max(this.#peakRssBytes, bytes);
  }
}

function cpuSecondsOf(roots: readonly number[]): number {
  let seconds = 0;
  for (const each of processTree(roots).values()) seconds += each.cpuSeconds;
  return seconds;
}

/** All that the benchmark starts is below this process. */
function machineUse(): ProcessorUse {
  return { ...processorUse(), ownMs: 1000 * cpuSecondsOf([process.pid]) };
}
