// How one worker writes to the simulator's own range log: in order, each append after a while.

import type { StreamErrorData } from '../base/stream-error.ts';
import type { LogRecord, SimulatedLog } from './simulated-log.ts';
import type { StoreConditions } from './store-conditions.ts';
import type { WorkerHost, WorkerLog } from './worker-io.ts';

export class SimulatedLogWriter implements WorkerLog {
  readonly #host: WorkerHost;
  readonly #log: SimulatedLog;
  readonly #stores: StoreConditions;
  /** When the last append is done, ms. */
  #endMs = 0;

  constructor(
    host: WorkerHost,
    { log, stores }: { readonly log: SimulatedLog; readonly stores: StoreConditions },
  ) {
    this.#host = host;
    this.#log = log;
    this.#stores = stores;
  }

  append(record: LogRecord, _by: unknown, onDone: (refused: StreamErrorData | null) => void): void {
    const { name, random } = this.#host;
    const { takesMs, endMs } = this.#stores.appendMs(random, this.#endMs);
    this.#endMs = endMs;
    this.#host.inOrder('log', takesMs, () => {
      onDone(this.#log.append(name, record) ? null : closedError);
    });
  }

  restored(): void {}
}

const closedError: StreamErrorData = {
  code: 'fenced',
  message: 'could not log a range: the log of the worker is closed',
  hint: null,
  fields: {},
  stack: null,
};
