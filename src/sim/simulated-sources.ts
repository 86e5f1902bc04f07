// The simulator's own sources, as one worker reads them: records turn up by a model, and the task
// runner has them.

import { assert } from '../base/assert.ts';
import type { Place, TaskName } from '../control/protocol/messages.ts';
import { SimulatedSource } from './simulated-source.ts';
import type { SourceModel } from './simulated-source.ts';
import type { StoreConditions } from './store-conditions.ts';
import type { Position, ReplayedPart, Taken, WorkerHost, WorkerSources } from './worker-io.ts';

export type SimulatedSourcesOptions = {
  readonly model: SourceModel;
  readonly stores: StoreConditions;
  readonly recordCount: (stage: number, partition: number) => number;
};

export class SimulatedSources implements WorkerSources {
  readonly #host: WorkerHost;
  readonly #options: SimulatedSourcesOptions;
  readonly #open = new Map<string, SimulatedSource>();

  constructor(host: WorkerHost, options: SimulatedSourcesOptions) {
    this.#host = host;
    this.#options = options;
  }

  open(place: Place, from: Position, opened: () => void): void {
    const { model, recordCount: countOf } = this.#options;
    const recordCount = countOf(place.stage, place.partition);
    const source = new SimulatedSource({
      random: this.#host.random.fork(),
      model,
      recordCount,
      from,
    });
    this.#open.set(nameOf(place), source);
    opened();
  }

  close(place: Place): void {
    this.#open.delete(nameOf(place));
  }

  ready(place: Place): boolean {
    return this.#open.get(nameOf(place))?.ready === true;
  }

  take(
    { stage, partition }: TaskName,
    how: { readonly final: boolean; readonly holdsBack: boolean },
  ): Taken {
    const place = { stage, partition };
    const source = this.#open.get(nameOf(place));
    assert(source !== undefined, `no source ${nameOf(place)}`);
    const used = (): void => {
      const quietMs = source.quietMs();
      if (quietMs === 0) return;
      this.#host.after(quietMs, () => {
        source.awake();
        this.#host.sourceReady(place);
      });
    };
    return { range: source.take(how), chunk: null, used };
  }

  replay(_task: TaskName, _part: ReplayedPart, read: () => void): void {
    const { random } = this.#host;
    this.#host.inOrder('source', this.#options.stores.callMs(random) / 10, read);
  }

  replayed(): null {
    return null;
  }
}

function nameOf({ stage, partition }: Place): string {
  return `${stage}/${partition}`;
}
