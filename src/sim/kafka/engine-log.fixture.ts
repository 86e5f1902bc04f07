// Ranges in a topic of a simulated Kafka: what the real shells do of it, with nothing else of a
// store. Workers log by WorkerStorage, drivers close, read and add by DriverStorage.

import { StreamError, errorToData } from '../../base/stream-error.ts';
import type { StreamErrorData } from '../../base/stream-error.ts';
import { resolveAddress } from '../../connectors/kafka/kafka-address.ts';
import { KafkaClient } from '../../connectors/kafka/kafka-client.ts';
import { KafkaRangeLog } from '../../connectors/kafka/kafka-range-log.ts';
import { checkpointsKeptDefault } from '../../control/limits.ts';
import type { BatchNumber, Term } from '../../control/protocol/ids.ts';
import { noBatch } from '../../control/protocol/ids.ts';
import type { KnownRanges, Place, WorkerLife } from '../../control/protocol/messages.ts';
import type { RangeRecord } from '../../data/task/task.ts';
import type { PhysicalPlan } from '../../plan/physical-plan.ts';
import type { RangeLog } from '../../ports/range-log.ts';
import { DriverStorage } from '../../runtime/host/driver-storage.ts';
import type { DriverStorageOptions } from '../../runtime/host/driver-storage.ts';
import type { OpenDurability } from '../../runtime/host/durable-job.ts';
import { WorkerStorage } from '../../runtime/host/worker-storage.ts';
import { SimulatedBlobStore } from '../simulated-blob-store.ts';
import type { LogRecord } from '../simulated-log.ts';
import type { ClusterLog, WorkerHost, WorkerLog } from '../worker-io.ts';
import type { SimulatedClient } from './simulated-kafka.ts';

export type EngineLogOptions = {
  readonly plan: PhysicalPlan;
  readonly nowMs: () => number;
  readonly clientOf: (host: WorkerHost) => SimulatedClient;
  readonly onBroken: (error: unknown) => void;
};

const patienceMs = 60_000;

export class EngineLog implements ClusterLog {
  readonly #options: EngineLogOptions;
  readonly #drivers = new Map<Term, { readonly storage: DriverStorage; readonly log: RangeLog }>();
  /** Those that are kept; a history begins with one of nothing. */
  readonly #checkpoints: BatchNumber[] = [noBatch];
  #client: SimulatedClient | null = null;

  constructor(options: EngineLogOptions) {
    this.#options = options;
  }

  /** A driver begins: nobody of an older term who has not written yet may. */
  begin(term: Term, client: SimulatedClient): void {
    this.#client = client;
    const open = this.#open(client);
    // Of its options those are left out that checkpoints need.
    const options = {
      durability: { term },
      open,
      plan: this.#options.plan,
      journal: { assertOwn: () => Promise.resolve() },
    } as unknown as DriverStorageOptions;
    this.#drivers.set(term, { storage: new DriverStorage(options), log: open.log });
  }

  writerOf(host: WorkerHost, life: WorkerLife, onDurable: (record: LogRecord) => void): WorkerLog {
    const { plan, nowMs, clientOf, onBroken } = this.#options;
    const client = clientOf(host);
    const storage = new WorkerStorage({ open: this.#open(client), plan, nowMs, ...life });
    return new TopicLogWriter(host, { storage, client, onDurable, onBroken });
  }

  read(
    term: Term,
    order: Parameters<DriverStorage['readLog']>[0],
    onRead: (ranges: readonly KnownRanges[]) => void,
  ): void {
    this.#settle(this.#drivers.get(term)!.storage.readLog(order), onRead);
  }

  add(term: Term, ranges: readonly KnownRanges[], onAdded: () => void): void {
    this.#settle(this.#drivers.get(term)!.storage.logRanges(ranges), onAdded);
  }

  checkpointed(term: Term, batch: BatchNumber): void {
    this.#checkpoints.push(batch);
    if (this.#checkpoints.length > checkpointsKeptDefault) this.#checkpoints.shift();
    this.#settle(this.#drivers.get(term)!.log.release(this.#checkpoints[0]!), () => {});
  }

  #open({ platform }: SimulatedClient): OpenDurability {
    const wire = platform.open(resolveAddress({ brokers: 'kafka:9092' }, platform));
    const client = new KafkaClient(wire, { clock: platform, patienceMs });
    const owner = { pipeline: this.#options.plan.name, history: 'h1' };
    const own = { client, platform, owner, replication: 1, releaseRecordsMin: 2 };
    const log = new KafkaRangeLog({ ...own, topic: 'ranges' });
    return { store: new SimulatedBlobStore(), log, close: () => log.close() };
  }

  #settle<Result>(promise: Promise<Result>, then: (result: Result) => void): void {
    this.#client!.kafka.heard++;
    promise.then(then).catch(this.#options.onBroken);
  }
}

type WriterParts = {
  readonly storage: WorkerStorage;
  readonly client: SimulatedClient;
  readonly onDurable: (record: LogRecord) => void;
  readonly onBroken: (error: unknown) => void;
};

class TopicLogWriter implements WorkerLog {
  readonly #host: WorkerHost;
  readonly #parts: WriterParts;
  /** By stage and partition: parts of the open task, for `onDurable`. */
  readonly #open = new Map<string, LogRecord[]>();

  constructor(host: WorkerHost, parts: WriterParts) {
    this.#host = host;
    this.#parts = parts;
  }

  append(
    record: LogRecord,
    by: Parameters<WorkerStorage['logRange']>[1],
    onDone: (refused: StreamErrorData | null) => void,
  ): void {
    const { storage, client, onDurable, onBroken } = this.#parts;
    const { task, last } = record;
    const place = `${task.stage}/${task.partition}`;
    const all = [...(this.#open.get(place) ?? []), record];
    this.#open.set(place, last ? [] : all);
    client.kafka.heard++;
    storage
      .logRange({ task, last, range: record.range as RangeRecord }, by)
      ?.then(
        () => {
          for (const each of all) onDurable(each);
          this.#host.act(() => onDone(null));
        },
        (error: unknown) => {
          const isFenced = error instanceof StreamError && error.code === 'fenced';
          if (!isFenced) throw error;
          this.#host.act(() => onDone(errorToData(error)));
        },
      )
      .catch(onBroken);
  }

  restored(place: Place): void {
    this.#open.delete(`${place.stage}/${place.partition}`);
    this.#parts.storage.restored(place, null);
  }
}
