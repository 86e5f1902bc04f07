// The pipeline of `mizzle demo`: made-up orders, revenue per country in windows of two seconds.

import { count, max, sum } from '../api/aggregates.ts';
import type { Pipeline } from '../api/pipeline.ts';
import { pipeline } from '../api/pipeline.ts';
import { tumbling } from '../api/windows.ts';
import { consoleTable } from '../connectors/console/console-table.ts';
import { generator } from '../connectors/generator/row-generator.ts';
import { float64, string, timestamp } from '../schema/column-type.ts';
import { schema } from '../schema/schema.ts';

const countries = ['Austria', 'Brazil', 'Canada', 'Denmark', 'Egypt', 'France', 'Ghana', 'Japan'];

export function demoPipeline(options: {
  readonly seconds: number;
  /** Orders per second. */
  readonly rate: number;
}): Pipeline {
  const orders = generator({
    schema: schema({ country: string(), amount: float64(), at: timestamp('ms') }),
    eventsPerSecond: options.rate,
    seconds: options.seconds,
    rows: (index, dueMs) => ({
      country: countries[scramble(index) % countries.length]!,
      amount: (scramble(index + 0x5bd1) % 20_000) / 100,
      at: dueMs,
    }),
  });
  return pipeline('demo')
    .from(orders, { time: 'at' })
    .filter((e) => e.amount.gt(5))
    .groupBy('country')
    .window(tumbling('2s'))
    .aggregate((e) => ({ orders: count(), revenue: sum(e.amount), biggest: max(e.amount) }))
    .to(consoleTable({ key: ['country'] }));
}

/** Spreads consecutive numbers evenly; the same for the same number. */
function scramble(index: number): number {
  let h = Math.imul(index ^ (index >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return (h ^ (h >>> 15)) >>> 0;
}
