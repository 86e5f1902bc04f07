// How one worker writes to the simulator's own sinks: each commit takes a while, those of a sink
// partition keep their order, and the first one of a placement opens it anew.

import type { StreamErrorData } from '../base/stream-error.ts';
import type { PlacementVersion } from '../control/protocol/ids.ts';
import type { SimulatedSinks } from './simulated-sinks.ts';
import type { Commit } from './task-runner.ts';
import type { Trace } from './trace.ts';
import type { CommitListener, WorkerHost, WorkerSinks } from './worker-io.ts';

export type SimulatedCommitsOptions = {
  readonly sinks: SimulatedSinks;
  readonly commitMsMax: number;
  readonly trace: Trace;
};

export class SimulatedCommits implements WorkerSinks {
  readonly #host: WorkerHost;
  readonly #options: SimulatedCommitsOptions;
  /** By sink partition: since which placement it is open here. */
  readonly #opened = new Map<string, number>();

  constructor(host: WorkerHost, options: SimulatedCommitsOptions) {
    this.#host = host;
    this.#options = options;
  }

  commit(commit: Commit, since: PlacementVersion, told: CommitListener): void {
    const { commitMsMax, sinks, trace } = this.#options;
    const { name, random } = this.#host;
    const place = `${commit.sink}/${commit.partition}`;
    this.#host.inOrder(`sink ${place}`, random.float() * commitMsMax, () => {
      if (this.#opened.get(place) !== since) sinks.open(place, name, since);
      this.#opened.set(place, since);
      const seen = sinks.commit(name, commit);
      if (trace.wanted) {
        trace.note(`${seen} ${place}@${commit.batch} ${JSON.stringify(commit.rows)}`);
      }
      if (seen === 'visible') told.onVisible();
      told.onDone(seen === 'fenced' ? fencedError : null);
    });
  }
}

const fencedError: StreamErrorData = {
  code: 'fenced',
  message: 'could not commit: another writer has opened the sink partition',
  hint: null,
  fields: {},
  stack: null,
};
