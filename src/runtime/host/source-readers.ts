// The open readers of one worker's source partitions: what a task may read now, and ranges that
// were read before and must be read again exactly.

import process from 'node:process';
import { assert } from '../../base/assert.ts';
import type { StreamError } from '../../base/stream-error.ts';
import { asStreamError } from '../../base/stream-error.ts';
import type { Place, TaskName } from '../../control/protocol/messages.ts';
import type { RangeRecord } from '../../data/task/task.ts';
import type { Bindings } from '../../plan/bindings.ts';
import type { PhysicalPlan } from '../../plan/physical-plan.ts';
import type { Sink } from '../../ports/sink.ts';
import type { SourceChunk } from '../../ports/source-chunk.ts';
import type { Source, SourceContext, SourceReader, SourceReplayer } from '../../ports/source.ts';
import type { JobConfig } from './job-config.ts';
import type { RunClock } from './run-clock.ts';

export type SourceReadersOptions = {
  readonly plan: PhysicalPlan;
  readonly bindings: Bindings<Source, Sink>;
  readonly config: Pick<JobConfig, 'bytesPerTask' | 'layouts' | 'startMs' | 'workerCount'>;
  readonly clock: Pick<RunClock, 'nowMs'>;
  readonly onReady: (place: Place) => void;
};

/** Where a source partition goes on. */
export type Position = { readonly to: number; readonly ended: boolean };

export class SourceReaders {
  readonly #options: SourceReadersOptions;
  readonly #readers = new Map<string, SourceReader>();
  readonly #replayers = new Map<string, Promise<SourceReplayer>>();
  /** Where source partitions ended, by `stage/partition`. */
  readonly #ends = new Map<string, number>();
  /** Ranges that were read again for tasks that are about to run, by task and part. */
  readonly #chunks = new Map<string, SourceChunk>();

  constructor(options: SourceReadersOptions) {
    this.#options = options;
  }

  get all(): Iterable<SourceReader> {
    return this.#readers.values();
  }

  isSource({ stage }: Place): boolean {
    return this.#options.plan.stages[stage]!.input.kind === 'scan';
  }

  /** Opens a partition; `from` null: at its start. An earlier reader of it is closed. */
  async open(place: Place, from: Position | null): Promise<void> {
    const name = nameOf(place);
    await this.close(place);
    if (from?.ended === true) this.#ends.set(name, from.to);
    const { source, context } = this.#source(place);
    const at = from === null ? {} : { from: from.to };
    const reader = await source.open(place.partition, { ...context, ...at });
    this.#readers.set(name, reader);
    reader.onReady(() => this.#options.onReady(place));
  }

  async close(place: Place): Promise<void> {
    const name = nameOf(place);
    const reader = this.#readers.get(name);
    this.#readers.delete(name);
    this.#ends.delete(name);
    await reader?.close();
  }

  ready(place: Place): boolean {
    return this.#readers.get(nameOf(place))?.ready() === true;
  }

  /** Places that could be read before anybody could be told. */
  readyPlaces(): readonly Place[] {
    return [...this.#readers].flatMap(([name, reader]) => {
      const [stage, partition] = name.split('/').map(Number);
      return reader.ready() ? [{ stage: stage!, partition: partition! }] : [];
    });
  }

  /**
   * A partition that has ended gives nothing for ever; its reader is not asked again. One that is
   * held back gives a record at most.
   */
  take(
    task: TaskName,
    { final, holdsBack }: { readonly final: boolean; readonly holdsBack: boolean },
  ): SourceChunk {
    const name = nameOf(task);
    const end = this.#ends.get(name);
    if (end !== undefined) return { from: end, to: end, ended: true, data: { kind: 'none' } };
    const reader = this.#readers.get(name);
    assert(reader !== undefined, `source partition ${name} is open`);
    if (final) reader.finish();
    let taken: SourceChunk;
    try {
      taken = reader.take(holdsBack ? 1 : this.#options.config.bytesPerTask);
    } catch (error) {
      throw this.#sourceError(error, task);
    }
    const chunk = final ? { ...taken, ended: true } : taken;
    if (chunk.ended) this.#ends.set(name, chunk.to);
    return chunk;
  }

  /** Reads a range once more, for `replayed`. */
  async replay(
    task: TaskName,
    part: number,
    range: Pick<RangeRecord, 'from' | 'to' | 'ended'>,
  ): Promise<void> {
    const { from, to } = range;
    const key = `${nameOf(task)}@${task.batch}.${part}`;
    if (from === to) {
      const data = { kind: 'none' } as const;
      this.#chunks.set(key, { from, to, ended: range.ended, data });
      return;
    }
    try {
      const replayer = await this.#replayer(task);
      this.#chunks.set(key, await replayer.read(from, to));
    } catch (error) {
      throw this.#sourceError(error, task);
    }
  }

  replayed(task: TaskName, part: number): SourceChunk {
    const key = `${nameOf(task)}@${task.batch}.${part}`;
    const chunk = this.#chunks.get(key);
    assert(chunk !== undefined, `the range of ${key} has been read`);
    this.#chunks.delete(key);
    return chunk;
  }

  async closeAll(): Promise<void> {
    const replayers = await Promise.allSettled(this.#replayers.values());
    const open = replayers.filter((each) => each.status === 'fulfilled');
    await Promise.all([
      ...[...this.#readers.values()].map((reader) => reader.close()),
      ...open.map(({ value }) => value.close()),
    ]);
  }

  #replayer(place: Place): Promise<SourceReplayer> {
    const name = nameOf(place);
    let replayer = this.#replayers.get(name);
    if (replayer === undefined) {
      const { source, context } = this.#source(place);
      assert(source.replayer !== undefined, 'a durable job has sources that can be read again');
      replayer = source.replayer(place.partition, context);
      this.#replayers.set(name, replayer);
    }
    return replayer;
  }

  #source({ stage }: Place): { readonly source: Source; readonly context: SourceContext } {
    const { plan, bindings, config, clock } = this.#options;
    const { input } = plan.stages[stage]!;
    assert(input.kind === 'scan', `stage ${stage} reads a source`);
    const spec = plan.sources.find(({ id }) => id === input.scan.source)!;
    const context = {
      nowMs: () => clock.nowMs(),
      warn: (text: string) => {
        process.stderr.write(`mizzle: source "${spec.name}": ${text}\n`);
      },
      startMs: config.startMs,
      schema: spec.schema,
      format: spec.format,
      workerCount: config.workerCount,
      layout: config.layouts[spec.id] ?? null,
    };
    return { source: bindings.sources.get(spec.id)!, context };
  }

  /** A reader of a user's own may throw anything. */
  #sourceError(error: unknown, { stage, partition }: Place): StreamError {
    const { input } = this.#options.plan.stages[stage]!;
    const source = input.kind === 'scan' ? input.scan.source : '';
    return asStreamError(error, {
      code: 'source-failed',
      message: `could not read partition ${partition} of source "${source}"`,
      hint: 'the error comes from the source itself; its stack is in the cause',
      fields: { source, partition },
    });
  }
}

function nameOf({ stage, partition }: Place): string {
  return `${stage}/${partition}`;
}
