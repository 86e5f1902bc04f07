// A simulated worker's way to Kafka: the engine's own readers and writers over its ports, as the
// real shell has them, in a process of the simulated cluster. An answer that comes to a worker that
// stands still waits for it, and one to a worker that is gone comes never.

import { errorToData } from '../../base/stream-error.ts';
import type { PlacementVersion } from '../../control/protocol/ids.ts';
import type { Place, TaskName } from '../../control/protocol/messages.ts';
import type { SinkId } from '../../plan/logical-plan.ts';
import type { SourceChunk } from '../../ports/source-chunk.ts';
import type { SinkWritersOptions } from '../../runtime/host/sink-writers.ts';
import { SinkWriters } from '../../runtime/host/sink-writers.ts';
import type { SourceReadersOptions } from '../../runtime/host/source-readers.ts';
import { SourceReaders } from '../../runtime/host/source-readers.ts';
import type { Commit } from '../task-runner.ts';
import type {
  CommitListener,
  Position,
  ReplayedPart,
  Taken,
  WorkerHost,
  WorkerIo,
  WorkerSinks,
  WorkerSources,
} from '../worker-io.ts';
import type { SimulatedClient } from './simulated-kafka.ts';

export type PortIoOptions = {
  readonly client: SimulatedClient;
  readonly readers: Omit<SourceReadersOptions, 'onReady'>;
  readonly writers: SinkWritersOptions;
  /** A judge has found something, or what must not fail has. */
  readonly onBroken: (error: unknown) => void;
  /** The connector says that a micro-batch is visible. */
  readonly onCommitted: (commit: Commit) => void;
};

export class PortIo implements WorkerIo {
  readonly sources: PortSources;
  readonly sinks: PortSinks;
  readonly #options: PortIoOptions;

  constructor(host: WorkerHost, options: PortIoOptions) {
    this.#options = options;
    this.sources = new PortSources(host, options);
    this.sinks = new PortSinks(host, options);
  }

  crash(): void {
    this.#options.client.crash();
  }

  pause(forMs: number): void {
    this.#options.client.pause(forMs);
  }

  close(): void {
    const { client, onBroken } = this.#options;
    client.kafka.heard++;
    this.sinks
      .close()
      .then(() => this.sources.closeAll(), onBroken)
      .catch(onBroken);
  }
}

class PortSources implements WorkerSources {
  readonly #host: WorkerHost;
  readonly #options: PortIoOptions;
  readonly #readers: SourceReaders;
  /** By stage and partition: one after the other, as orders to restore it are. */
  readonly #opening = new Map<string, Promise<void>>();

  constructor(host: WorkerHost, options: PortIoOptions) {
    this.#host = host;
    this.#options = options;
    const onReady = (place: Place): void => this.#act(() => host.sourceReady(place));
    this.#readers = new SourceReaders({ ...options.readers, onReady });
  }

  open(place: Place, { to, ended }: Position, opened: () => void): void {
    const name = `${place.stage}/${place.partition}`;
    const before = this.#opening.get(name) ?? Promise.resolve();
    const from = to === 0 && !ended ? null : { to, ended };
    const done = before.then(() => this.#readers.open(place, from));
    this.#opening.set(name, done);
    this.#settle(done, opened);
  }

  close(place: Place): void {
    this.#settle(this.#readers.close(place), () => {});
  }

  ready(place: Place): boolean {
    return this.#readers.ready(place);
  }

  take(task: TaskName, how: { readonly final: boolean; readonly holdsBack: boolean }): Taken {
    this.#options.client.kafka.heard++;
    const chunk = this.#readers.take(task, how);
    const { from, to, ended } = chunk;
    return { range: { from, to, ended }, chunk, used: () => {} };
  }

  replay(task: TaskName, { part, range }: ReplayedPart, read: () => void): void {
    this.#settle(this.#readers.replay(task, part, range), read);
  }

  replayed(task: TaskName, part: number): SourceChunk {
    return this.#readers.replayed(task, part);
  }

  async closeAll(): Promise<void> {
    await Promise.allSettled(this.#opening.values());
    await this.#readers.closeAll();
  }

  #settle(promise: Promise<void>, then: () => void): void {
    this.#options.client.kafka.heard++;
    promise.then(() => this.#act(then)).catch(this.#options.onBroken);
  }

  /** The connector calls it, too, and is not to hear what a judge finds. */
  #act(action: () => void): void {
    try {
      this.#host.act(action);
    } catch (error) {
      this.#options.onBroken(error);
    }
  }
}

class PortSinks implements WorkerSinks {
  readonly #host: WorkerHost;
  readonly #options: PortIoOptions;
  readonly #writers: SinkWriters;

  constructor(host: WorkerHost, options: PortIoOptions) {
    this.#host = host;
    this.#options = options;
    this.#writers = new SinkWriters(options.writers);
  }

  commit(commit: Commit, since: PlacementVersion, told: CommitListener): void {
    const { client, onBroken, onCommitted } = this.#options;
    const { sink, partition, output } = commit;
    client.kafka.heard++;
    // From now on it may be, whatever the writer hears.
    told.onVisible();
    this.#writers
      .commit(sink as SinkId, { partition, since }, output!)
      .then(
        () => {
          onCommitted(commit);
          this.#host.act(() => told.onDone(null));
        },
        (error: unknown) => this.#host.act(() => told.onDone(errorToData(error))),
      )
      .catch(onBroken);
  }

  close(): Promise<void> {
    return this.#writers.close();
  }
}
