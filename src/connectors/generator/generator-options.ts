// What the generators' options have in common: their checks and how many events they ask for.

import { StreamError } from '../../base/stream-error.ts';
import type { SourceContext } from '../../ports/source.ts';
import type { JsonValue } from '../../schema/data-type.ts';
import { Pacer } from './pacer.ts';

export type PacedOptions = {
  readonly eventsPerSecond: number;
  readonly partitions?: number;
  readonly seconds?: number;
  readonly events?: number;
  readonly startMs?: number;
};

/** Throws a StreamError with code `option-invalid` that names the option. */
export function checkRate(source: string, options: PacedOptions): void {
  const { eventsPerSecond, partitions = 1, seconds = 0, events = 0, startMs = 0 } = options;
  if (!(eventsPerSecond > 0) || eventsPerSecond === Infinity) {
    refuseOption({
      source,
      option: 'eventsPerSecond',
      value: eventsPerSecond,
      hint: 'give a rate above 0',
    });
  }
  if (!Number.isInteger(partitions) || partitions < 1) {
    refuseOption({
      source,
      option: 'partitions',
      value: partitions,
      hint: 'give a whole number from 1',
    });
  }
  if (!(seconds >= 0))
    refuseOption({ source, option: 'seconds', value: seconds, hint: 'give 0 or more' });
  if (!(events >= 0))
    refuseOption({ source, option: 'events', value: events, hint: 'give 0 or more' });
  if (!(startMs >= 0)) {
    refuseOption({
      source,
      option: 'startMs',
      value: startMs,
      hint: 'give milliseconds since the epoch',
    });
  }
}

/** Events of all partitions together; Infinity when nothing bounds them. */
export function eventCountOf(options: PacedOptions): number {
  const bySeconds = Math.round((options.seconds ?? Infinity) * options.eventsPerSecond);
  return Math.min(options.events ?? Infinity, bySeconds);
}

/** Throws a StreamError with code `option-invalid`. */
export function refuseOption(what: {
  source: string;
  option: string;
  value: number;
  hint: string;
}): never {
  throw new StreamError({
    code: 'option-invalid',
    message: `could not set up "${what.source}": ${what.option} is ${what.value}`,
    hint: what.hint,
    fields: { source: what.source, option: what.option, value: String(what.value) },
  });
}

/**
 * What an offset means depends on it, and a run that resumes may have another number of workers.
 * The start of the run is no part of it: the context has that, and a restart gives the same.
 */
export type PacedLayout = { readonly partitions: number };

export function pacedLayout(options: PacedOptions, context: SourceContext): PacedLayout {
  const { layout = null } = context;
  if (isPacedLayout(layout)) return layout;
  return { partitions: options.partitions ?? context.workerCount };
}

function isPacedLayout(layout: JsonValue): layout is PacedLayout {
  return typeof layout === 'object' && layout !== null && 'partitions' in layout;
}

/** Throws when the partition ends before `context.from`. */
export function pacerOf(partition: number, options: PacedOptions, context: SourceContext): Pacer {
  const { partitions } = pacedLayout(options, context);
  const { from = 0 } = context;
  const pacer = new Pacer({
    nowMs: () => context.nowMs(),
    startMs: options.startMs ?? context.startMs,
    eventsPerSecond: options.eventsPerSecond,
    partition,
    partitionCount: partitions,
    eventCount: eventCountOf(options),
    from,
  });
  pacer.check(from);
  return pacer;
}
