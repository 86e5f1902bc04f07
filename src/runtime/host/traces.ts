// What machines are told and what they order, as it happens, for whoever subscribes to these
// channels of `node:diagnostics_channel` in the same thread. In normal runs nobody does, and then
// they cost a look at a flag.

import { channel } from 'node:diagnostics_channel';
import type { DriverEffect, DriverEvent } from '../../control/driver/events.ts';
import type { WorkerId } from '../../control/protocol/ids.ts';
import type { WorkerEffect, WorkerEvent } from '../../control/worker/events.ts';

/** An event, or an effect of the last one, by the run's clock. */
export type WorkerShellTrace = {
  readonly worker: WorkerId;
  readonly atMs: number;
  readonly event?: WorkerEvent;
  readonly effect?: WorkerEffect;
};

export type DriverShellTrace = {
  readonly atMs: number;
  readonly event?: DriverEvent;
  readonly effect?: DriverEffect;
};

export const workerTraces = channel('mizzle:worker');
export const driverTraces = channel('mizzle:driver');
