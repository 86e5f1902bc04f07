// One life of the driver: the machine, its timer, what it hears while it stands still, and whether
// it is still the one that stores listen to. The next life has a higher term.

import type { Random } from '../base/random.ts';
import { DriverMachine } from '../control/driver/driver-machine.ts';
import type { DriverOptions } from '../control/driver/driver-machine.ts';
import type { DriverEffect, DriverEvent } from '../control/driver/events.ts';
import type { Term, WorkerId } from '../control/protocol/ids.ts';
import type { WorkerMessage } from '../control/protocol/messages.ts';
import type { Endpoint, Network } from './network.ts';
import type { Trace } from './trace.ts';
import type { Timer, VirtualClock } from './virtual-clock.ts';

export type SimulatedDriverOptions = {
  readonly machine: DriverOptions;
  readonly clock: VirtualClock;
  readonly network: Network;
  readonly random: Random;
  readonly trace: Trace;
  readonly onEvent: (event: DriverEvent) => void;
  readonly onEffects: (effects: readonly DriverEffect[]) => void;
};

export class SimulatedDriver {
  readonly machine: DriverMachine;
  readonly term: Term;
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly #options: SimulatedDriverOptions;
  /** While it stands still, what it will hear. */
  #backlog: DriverEvent[] | null = null;
  #timer: Timer | null = null;
  #timerAtMs = Infinity;
  #crashed = false;

  constructor(options: SimulatedDriverOptions) {
    this.#options = options;
    this.machine = new DriverMachine(options.machine);
    this.term = options.machine.term;
    this.name = this.term === 1 ? 'driver' : `driver#${this.term}`;
    const { network, trace } = options;
    this.endpoint = network.attach('driver', (from, message) => {
      if (this.#crashed) return;
      if (trace.wanted) trace.note(`${this.name} < ${from} ${message.kind}`);
      const said = message as WorkerMessage;
      this.tell({ kind: 'message-received', from: from as WorkerId, message: said });
    });
  }

  get crashed(): boolean {
    return this.#crashed;
  }

  /** It is gone, or has found out that another driver is there and ends. */
  crash(): void {
    if (this.#crashed) return;
    this.#crashed = true;
    this.#backlog = null;
    this.#options.network.cut(this.endpoint);
    this.#options.trace.note(`${this.name} crashes`);
  }

  stall(forMs: number): void {
    if (this.#backlog !== null || this.#crashed) return;
    const { clock, random } = this.#options;
    this.#backlog = [];
    clock.after(forMs, () => {
      const backlog = this.#backlog ?? [];
      this.#backlog = null;
      // After a stall a timer may go off before what has come meanwhile is read.
      if (random.chance(0.5)) this.tell({ kind: 'time-passed' });
      for (const event of backlog) this.tell(event);
    });
  }

  tell(event: DriverEvent): void {
    if (this.#crashed) return;
    if (this.#backlog !== null) {
      this.#backlog.push(event);
      return;
    }
    this.#options.onEvent(event);
    this.machine.step(this.#options.clock.nowMs, event);
    this.#options.onEffects(this.machine.takeEffects());
    this.#arm();
  }

  #arm(): void {
    if (this.#crashed) return;
    const { clock } = this.#options;
    const deadlineMs = this.machine.nextDeadlineMs();
    if (this.#timer !== null && deadlineMs === this.#timerAtMs) return;
    if (this.#timer !== null) this.#timer.cancelled = true;
    this.#timer = null;
    this.#timerAtMs = deadlineMs;
    if (deadlineMs === Infinity) return;
    this.#timer = clock.at(Math.max(deadlineMs, clock.nowMs), () => {
      this.#timer = null;
      this.tell({ kind: 'time-passed' });
    });
  }
}
