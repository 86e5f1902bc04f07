// A host of a simulation of scale: the main thread, whose processor passes messages between its
// workers' threads and the links to the driver and to other hosts.

import type { PeerMessage, WorkerMessage } from '../../control/protocol/messages.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import { messageBytes } from './message-bytes.ts';
import type { ScaleOptions } from './scale-run.ts';
import { SerialProcessor } from './serial-processor.ts';
import type { Cores } from './serial-processor.ts';

export type ScaleHostOptions = {
  readonly clock: VirtualClock;
  readonly cores: Cores | null;
  readonly job: ScaleOptions;
};

export class ScaleHost {
  readonly processor: SerialProcessor;
  readonly #clock: VirtualClock;
  readonly #job: ScaleOptions;
  #linkFreeMs = 0;

  constructor({ clock, cores, job }: ScaleHostOptions) {
    this.#clock = clock;
    this.#job = job;
    this.processor = new SerialProcessor(clock, { cores, wakeMs: job.costs.host.wakeMs });
  }

  /** A message that left a worker's thread; `deliver` is told when it arrives elsewhere, ms. */
  send(message: WorkerMessage | PeerMessage, deliver: (arrivalMs: number) => void): void {
    const { costs, blockBytes } = this.#job;
    this.processor.add({
      costMs: costs.host.sendMs,
      act: () => {
        const { delayMs, bytesPerMs } = costs.link;
        const wireMs = messageBytes(message, blockBytes) / bytesPerMs;
        this.#linkFreeMs = Math.max(this.#linkFreeMs, this.#clock.nowMs) + wireMs;
        deliver(this.#linkFreeMs + delayMs);
        return 0;
      },
    });
  }

  /** A message has come for a worker; `handOver` gives it to the worker's thread. */
  receive(handOver: () => void): void {
    this.processor.add({
      costMs: this.#job.costs.host.receiveMs,
      act: () => {
        handOver();
        return 0;
      },
    });
  }
}
