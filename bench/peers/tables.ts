// Rows of results as Markdown, a table a measure.

import { formatCount } from '../../src/base/format.ts';
import type { Percentiles, Recovery } from './latencies.ts';
import type { DrainRow, LatencyRow, MeasureName, PeerRow, RecoveryRow } from './measures.ts';
import type { StartupRow } from './measures.ts';

type Columns<Row> = readonly (readonly [heading: string, cell: (row: Row) => string])[];

export function tablesOf(rows: readonly PeerRow[]): readonly string[] {
  const of = <M extends MeasureName>(measure: M): readonly Extract<PeerRow, { measure: M }>[] =>
    rows.filter((row): row is Extract<PeerRow, { measure: M }> => row.measure === measure);
  return [
    ...tableOf('Drain', of('drain'), drainColumns),
    ...tableOf('Latency, ms', of('latency'), latencyColumns),
    ...tableOf('Start-up', of('startup'), startupColumns),
    ...tableOf('Recovery, ms', of('recovery'), recoveryColumns),
    ...wrongText(rows),
  ];
}

const drainColumns: Columns<DrainRow> = [
  ['engine', engineText],
  ['events', ({ events }) => formatCount(events)],
  ['job', jobText],
  ['events/s', ({ eventsPerSecond }) => formatCount(eventsPerSecond)],
  ['from submission', (row) => formatCount(row.eventsPerSecondFromSubmit)],
  ['CPU-s per M', ({ cpuSecondsPerMillion }) => cpuSecondsPerMillion.toFixed(2)],
  ['peak RSS, MB', megabytes],
];

const latencyColumns: Columns<LatencyRow> = [
  ['engine', engineText],
  ['rate', ({ rate }) => rate.toLocaleString('en-US')],
  ['appended p50 / p95 / p99 / max', ({ appended }) => percentilesText(appended)],
  ['visible p50 / p95 / p99 / max', ({ visible }) => percentilesText(visible)],
  ['results', ({ results }) => results],
  ['cores', ({ coresUsed }) => coresUsed.toFixed(2)],
  ['CPU-s per M', ({ cpuSecondsPerMillion }) => cpuSecondsPerMillion.toFixed(1)],
  ['peak RSS, MB', megabytes],
  ['generator late', ({ behindMsMax }) => String(behindMsMax)],
];

const startupColumns: Columns<StartupRow> = [
  ['engine', engineText],
  ['cluster, s', ({ clusterSeconds }) => clusterSeconds?.toFixed(1) ?? 'none'],
  ['job', jobText],
  ['first result, s', ({ firstResultSeconds }) => firstResultSeconds?.toFixed(2) ?? 'none'],
  ['CPU-s', ({ cpuSeconds }) => cpuSeconds.toFixed(1)],
  ['peak RSS, MB', megabytes],
];

const recoveryColumns: Columns<RecoveryRow> = [
  ['engine', engineText],
  ['checkpoints every, s', ({ checkpointSeconds }) => String(checkpointSeconds)],
  ['appended: before / peak', ({ appended }) => peakText(appended)],
  ['back within 1.5 × / +100 ms', ({ appended }) => backText(appended)],
  ['visible: before / peak', ({ visible }) => peakText(visible)],
  ['back within 1.5 × / +100 ms', ({ visible }) => backText(visible)],
  ['records repeated or revised', ({ repeats }) => String(repeats)],
];

function tableOf<Row extends PeerRow>(
  title: string,
  rows: readonly Row[],
  columns: Columns<Row>,
): readonly string[] {
  if (rows.length === 0) return [];
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    `**${title}**`,
    '',
    line(columns.map(([heading]) => heading)),
    line(columns.map(() => '---')),
    ...rows.map((row) => line(columns.map(([, cell]) => cell(row)))),
    '',
  ];
}

function wrongText(rows: readonly PeerRow[]): readonly string[] {
  const wrong = rows.filter((row) => row.wrong > 0);
  if (wrong.length === 0) return ['Every window of every run had its true count.'];
  return wrong.map(({ measure, engine, wrong: count, windows }) => {
    return `WRONG: ${measure} of ${engine}: ${count} of ${windows} windows`;
  });
}

function engineText({ engine, guarantee }: PeerRow): string {
  return `${engine.replace(/-(?:at-least|exactly)-once$/, '')}, ${guarantee}`;
}

function jobText({ job }: { readonly job: number }): string {
  return job === 0 ? 'first' : 'second';
}

function percentilesText(of: Percentiles | null): string {
  return of === null ? 'none' : `${of.p50} / ${of.p95} / ${of.p99} / ${of.max}`;
}

function peakText(of: Recovery | null): string {
  return of === null ? 'none' : `${of.medianBeforeMs} / ${of.peakMs}`;
}

function backText(of: Recovery | null): string {
  return of === null ? 'none' : `${of.backMs ?? 'never'} / ${of.nearMs ?? 'never'}`;
}

function megabytes({ peakRssBytes }: PeerRow): string {
  return (peakRssBytes / 2 ** 20).toFixed(0);
}
