// A pipeline: a name and the sinks its streams end in. Immutable; makes the plan and the bindings,
// and hands itself to the runner.

import { captureCallSite } from '../base/call-site.ts';
import type { Duration } from '../base/duration.ts';
import type { Bindings } from '../plan/bindings.ts';
import type { LogicalPlan } from '../plan/logical-plan.ts';
import type { Sink } from '../ports/sink.ts';
import type { Source } from '../ports/source.ts';
import type { TypedSink, TypedSource } from '../ports/typed.ts';
import type { DeadLetterRow } from '../schema/dead-letter.ts';
import type { Columns } from '../schema/value-type.ts';
import * as build from './build.ts';
import type { Compiled } from './compile.ts';
import { compile } from './compile.ts';
import type { Job, RunOptions } from './job.ts';
import type { StreamNode } from './node.ts';
import { currentRunner } from './runner.ts';
import { Stream } from './stream.ts';

/** Columns that can say when an event happened. */
export type TimeNames<C extends Columns> = {
  [Name in keyof C]: C[Name]['tag'] extends 'timestamp'
    ? [C[Name]['missing']] extends [never]
      ? Name
      : never
    : never;
}[keyof C] &
  string;

export type FromOptions<C extends Columns> = {
  /** The column that says when an event happened. Windows need one. */
  readonly time?: TimeNames<C>;
  readonly watermark?: WatermarkOptions;
  /** What becomes of a record that cannot be read. Default `fail`. */
  readonly onError?: 'fail' | 'skip' | { readonly deadLetter: TypedSink<DeadLetterRow> };
  /** Names the operator. */
  readonly name?: string;
};

export type WatermarkOptions = {
  /** How far events of one source partition may be out of order. Default 0. */
  readonly delay?: Duration;
  /** A partition without records for this long is not waited for. Default: it is, for ever. */
  readonly idle?: Duration;
  /** Event times further ahead of the clock make a bad record. Default one day. */
  readonly ahead?: Duration;
};

/** What the user built: runs nothing before `run`. */
export class Pipeline {
  readonly name: string;
  readonly #outputs: readonly StreamNode[];
  #compiled: Compiled | null = null;

  constructor(name: string, outputs: readonly StreamNode[]) {
    this.name = name;
    this.#outputs = outputs;
  }

  /**
   * Starts a stream at a source. Outputs so far are kept, so a pipeline may have several streams.
   *
   * @example
   * pipeline('ysb').from(source, { time: 'event_time', watermark: { delay: '1s' } });
   */
  from<C extends Columns>(source: TypedSource<C>, options: FromOptions<C> = {}): Stream<C> {
    const site = captureCallSite(this.from);
    return new Stream(this, build.from({ source, ...options }, site));
  }

  /**
   * The outputs of both. Streams that both share by identity are computed once.
   *
   * @example
   * const views = pipeline('shop').from(source).filter((e) => e.kind.eq('view'));
   * const pages = views.groupBy('page').aggregate(() => ({ views: count() }));
   * const both = views.to(archive).with(pages.to(results));
   */
  with(other: Pipeline): Pipeline {
    const more = other.#outputs.filter((output) => !this.#outputs.includes(output));
    return more.length === 0 ? this : new Pipeline(this.name, [...this.#outputs, ...more]);
  }

  /** The pipeline with one more output; `Stream.to` is the way to it. */
  withOutput(output: StreamNode): Pipeline {
    return new Pipeline(this.name, [...this.#outputs, output]);
  }

  /** The logical plan. Throws one StreamError `invalid-pipeline` that lists all mistakes. */
  plan(): LogicalPlan {
    return this.#compile().plan;
  }

  /** The live objects that the plan names by id. Throws as `plan` does. */
  bindings(): Bindings<Source, Sink> {
    return this.#compile().bindings;
  }

  /**
   * Runs the pipeline.
   *
   * @example
   * const job = await campaigns.run({ workers: 2 });
   * const summary = await job.done;
   */
  async run(options: RunOptions = {}): Promise<Job> {
    this.#compile();
    return await currentRunner()(this, options);
  }

  #compile(): Compiled {
    this.#compiled ??= compile(this.name, this.#outputs);
    return this.#compiled;
  }
}

/**
 * Begins a pipeline.
 *
 * @example
 * const ysb = pipeline('ysb')
 *   .from(source, { time: 'event_time' })
 *   .filter((e) => e.event_type.eq('view'))
 *   .join(ads, { on: { ad_id: 'ad_id' } })
 *   .groupBy('campaign_id')
 *   .window(tumbling('10s'))
 *   .aggregate(() => ({ views: count() }))
 *   .to(sink);
 */
export function pipeline(name: string): Pipeline {
  return new Pipeline(name, []);
}
