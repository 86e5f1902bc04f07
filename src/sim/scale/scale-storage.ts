// What a simulation of scale keeps when a worker is to be lost: a range log and snapshots that cost
// time and no bytes, and the sinks' commits.

import { unreachable } from '../../base/assert.ts';
import type { WorkerId } from '../../control/protocol/ids.ts';
import type { Place } from '../../control/protocol/messages.ts';
import type { WorkerEffect, WorkerEvent } from '../../control/worker/events.ts';
import { SimulatedLog } from '../simulated-log.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import type { ScaleMeters } from './scale-meters.ts';
import type { ScaleLoss, ScaleOptions } from './scale-run.ts';
import type { SerialProcessor } from './serial-processor.ts';

/** What all workers share. */
export class ScaleStore {
  readonly log = new SimulatedLog();
  readonly loss: ScaleLoss;
  readonly sources: readonly boolean[];
  readonly #meters: ScaleMeters;
  readonly #clock: VirtualClock;
  /** By stage: the number of its first partition among those with a sink. */
  readonly #firsts: readonly number[];

  constructor(options: {
    readonly clock: VirtualClock;
    readonly meters: ScaleMeters;
    readonly loss: ScaleLoss;
    readonly shape: ScaleOptions['shape'];
  }) {
    const { clock, meters, loss, shape } = options;
    this.loss = loss;
    this.#clock = clock;
    this.#meters = meters;
    this.sources = shape.stages.map(({ source }) => source);
    let next = 0;
    this.#firsts = shape.stages.map(({ sinks, partitionCount }) => {
      const first = next;
      if (sinks) next += partitionCount;
      return first;
    });
  }

  commit({ stage, partition }: Place, batch: number): void {
    this.#meters.visible(this.#firsts[stage]! + partition, { batch, atMs: this.#clock.nowMs });
  }
}

type LogRange = Extract<WorkerEffect, { kind: 'log-range' }>;

export type StorageEffect = Extract<
  WorkerEffect,
  {
    kind:
      | 'log-range'
      | 'commit-output'
      | 'take-snapshot'
      | 'restore-state'
      | 'read-range'
      | 'forget-state';
  }
>;

export type ScaleStorageOptions = {
  readonly store: ScaleStore;
  readonly clock: VirtualClock;
  readonly processor: SerialProcessor;
  /** Of its log. */
  readonly name: string;
  /** Lets the machine hear of it when the processor has time. */
  readonly tell: (event: WorkerEvent) => void;
};

/** What one worker asks of it. */
export class ScaleStorage {
  readonly #options: ScaleStorageOptions;
  /** Records that go into the next write together. */
  #waiting: LogRange[] = [];
  #writes = false;

  constructor(options: ScaleStorageOptions) {
    this.#options = options;
  }

  carryOut(effect: StorageEffect): void {
    const { store, clock, processor, tell } = this.#options;
    const { storeMs, commitMs, restoreMs, snapshotMs } = store.loss;
    switch (effect.kind) {
      case 'log-range':
        this.#waiting.push(effect);
        if (!this.#writes) this.#write();
        return;
      case 'commit-output': {
        const { task, since } = effect;
        clock.after(commitMs, () => {
          store.commit(task, task.batch);
          tell({ kind: 'output-committed', task, since });
        });
        return;
      }
      case 'take-snapshot': {
        const { task, since } = effect;
        const stored = (): void => {
          tell({ kind: 'snapshot-stored', task, since, snapshot: task.batch });
        };
        return processor.add({
          costMs: snapshotMs[task.stage]!,
          act: () => {
            clock.after(storeMs, stored);
            return 0;
          },
        });
      }
      case 'restore-state': {
        const { stage, partition, since, snapshot } = effect;
        const isSource = store.sources[stage]!;
        const restored = (): number => {
          tell({ kind: 'state-restored', stage, partition, since, ended: false });
          if (isSource) tell({ kind: 'source-ready', stage, partition });
          return 0;
        };
        const costMs = snapshot === null ? 0 : restoreMs[stage]!;
        clock.after(storeMs, () => processor.add({ costMs, act: restored }));
        return;
      }
      case 'read-range': {
        const { task, part } = effect;
        clock.after(storeMs, () => tell({ kind: 'range-read', task, part }));
        break;
      }
      case 'forget-state':
        break;
      default:
        unreachable(effect);
    }
  }

  #write(): void {
    const { store, clock, name, tell } = this.#options;
    const records = this.#waiting;
    this.#waiting = [];
    this.#writes = true;
    clock.after(store.loss.appendMs, () => {
      this.#writes = false;
      for (const record of records) {
        const { task, since, last } = record;
        if (store.log.append(name, record) && last) tell({ kind: 'range-logged', task, since });
      }
      if (this.#waiting.length > 0) this.#write();
    });
  }
}

export function scaleLogName(worker: WorkerId): string {
  return `w${worker}`;
}
