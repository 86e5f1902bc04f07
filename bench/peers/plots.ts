// What of the results is drawn: latency by rate, and the rate at which a full topic is drained.

import { formatCount } from '../../src/base/format.ts';
import type { BarPlot, LinePlot, Plot, Series } from '../paper/plot.ts';
import type { EngineName } from './engine.ts';
import { engineNames } from './engine.ts';
import type { DrainRow, LatencyRow, PeerRow } from './measures.ts';

export function plotsOf(rows: readonly PeerRow[]): readonly Plot[] {
  const latencies = rows.filter((row): row is LatencyRow => row.measure === 'latency');
  const drains = rows.filter((row): row is DrainRow => row.measure === 'drain');
  return [
    ...(latencies.length === 0 ? [] : [latencyPlot(latencies)]),
    ...(drains.length === 0 ? [] : [drainPlot(drains)]),
  ];
}

function latencyPlot(rows: readonly LatencyRow[]): LinePlot {
  const series = enginesOf(rows).flatMap((engine): Series[] => {
    const own = rows.filter((row) => row.engine === engine);
    const color = engineNames.indexOf(engine);
    const points = (percentile: 'p50' | 'p99'): Series['points'] =>
      own.map(({ rate, visible }) => ({ x: rate, y: visible?.[percentile] ?? NaN }));
    return [
      { name: `${engine}: p50`, color, style: 'line', points: points('p50') },
      { name: `${engine}: p99`, color, style: 'dashed', points: points('p99') },
    ];
  });
  const rates = [...new Set(rows.map(({ rate }) => rate))].toSorted((a, b) => a - b);
  return {
    kind: 'lines',
    title: 'Latency from Kafka to Kafka',
    subtitle: "Window's end until a live reader of committed records has its count",
    x: {
      label: 'events a second',
      scale: 'log',
      min: 0.7 * rates[0]!,
      max: 1.4 * rates.at(-1)!,
      ticks: rates,
    },
    y: { label: 'ms', scale: 'log', min: 1, max: 20_000 },
    series,
  };
}

function drainPlot(rows: readonly DrainRow[]): BarPlot {
  const millions = (events: number): number => events / 1e6;
  const greatest = Math.max(...rows.map((row) => row.eventsPerSecondFromSubmit));
  return {
    kind: 'bars',
    title: 'A full topic drained',
    subtitle: `${formatCount(rows[0]!.events)} events, from submitting the job, twice`,
    // Room for what is written behind the bars.
    x: {
      label: 'million events a second',
      scale: 'linear',
      min: 0,
      max: millions(greatest) * 1.05,
    },
    parts: [{ name: 'events a second', color: 0 }],
    bars: rows.map((row) => ({
      name: `${row.engine}${row.job === 0 ? '' : ', again'}`,
      values: [millions(row.eventsPerSecondFromSubmit)],
      note: `${row.cpuSecondsPerMillion.toFixed(1)} CPU-s per million`,
    })),
  };
}

function enginesOf(rows: readonly PeerRow[]): readonly EngineName[] {
  return engineNames.filter((name) => rows.some((row) => row.engine === name));
}
