// Figure 5b: two stages, four producers a machine and 16 consumers. What pre-scheduling gives by
// itself, in groups of one micro-batch, and with groups; the latter also as the paper charges them.

import type { CellOptions, Schedule } from './cell.ts';
import { digits, msText, scheduleName } from './cell.ts';
import { measuredModel } from './costs.ts';
import type { Figure } from './figure.ts';
import { machinesAxis, msTicks } from './fig4a.ts';
import type { SparkFit } from './models.ts';
import { fitSpark, groupModel, smallWorkMs, sparkModel } from './models.ts';
import type { LinePlot, Series } from './plot.ts';
import { machineCounts, published5b, tasksPerMachine } from './published.ts';
import type { Curve as CellCurve } from './run-cells.ts';
import { runCurves } from './run-cells.ts';
import { twoStages } from './shapes.ts';

type Curve = CellCurve & { readonly name: string };

export type Figure5b = {
  readonly workMs: readonly number[];
  readonly consumers: number;
  readonly paper: typeof published5b;
  readonly modelA: readonly Curve[];
  /** Our groups: a message a worker. */
  readonly modelB: readonly Curve[];
  /** The paper's groups: a cost for every task, once a group. */
  readonly asPaper: readonly Curve[];
  /** At the most machines, as the paper charges: what pre-scheduling alone saves. */
  readonly preSchedulingSavesMs: number;
  readonly speedupAt10: number;
  readonly speedupAt100: number;
};

const consumers = 16;
const workMs = [smallWorkMs / tasksPerMachine, 0.3];

const alone: Schedule = { mode: 'drizzle', groupSize: 1, lookAhead: false };
const groups: readonly Schedule[] = [
  alone,
  { mode: 'drizzle', groupSize: 10, lookAhead: false },
  { mode: 'drizzle', groupSize: 100, lookAhead: false },
];
const ahead: Schedule = { mode: 'drizzle', groupSize: 10, lookAhead: true };

export const figure5b: Figure<Figure5b> = {
  name: 'fig5b',
  what: 'time of a micro-batch by machines: two stages, 16 consumers',
  async run({ quick, costs }) {
    const fit = fitSpark(costs!);
    const counts = quick ? [4, 16] : machineCounts;
    const curves = async (
      of: readonly Schedule[],
      costsOf: 'a' | 'b' | 'paper',
    ): Promise<readonly Curve[]> => {
      const asked = of.map((schedule) => ({
        schedule,
        cells: counts.map((machines): Omit<CellOptions, 'schedule'> => ({
          machines,
          shape: twoStages(machines * tasksPerMachine, consumers),
          costs: modelOf(schedule, costsOf, { fit, measured: costs! }),
          workMs,
          groupsPayPerTask: costsOf === 'paper',
          groups: groupsOf(schedule, quick),
        })),
      }));
      const ran = await runCurves(asked, quick);
      return ran.map((curve, index) => ({ ...curve, name: nameOf(of[index]!) }));
    };
    const bsp: Schedule = { mode: 'bsp' };
    const modelA = await curves([bsp, ...groups, ahead], 'a');
    const modelB = await curves([bsp, ...groups, ahead], 'b');
    const asPaper = await curves(groups, 'paper');
    const last = ({ cells }: Curve): number => cells.at(-1)!.batchMs;
    const [one, ten, hundred] = asPaper.map(last);
    const spark = last(modelB[0]!);
    return {
      workMs,
      consumers,
      paper: published5b,
      modelA,
      modelB,
      asPaper,
      preSchedulingSavesMs: spark - one!,
      speedupAt10: spark / ten!,
      speedupAt100: spark / hundred!,
    };
  },
  tell: ({ modelA, modelB, asPaper, preSchedulingSavesMs, speedupAt10, speedupAt100 }) => [
    ...modelB.map((curve) => `(b) ${lineOf(curve)}`),
    ...asPaper.map((curve) => `(b, a cost for each task once a group) ${lineOf(curve)}`),
    ...modelA.map((curve) => `(a) ${lineOf(curve)}`),
    `charged as in the paper: pre-scheduling alone saves ${msText(preSchedulingSavesMs)} ` +
      `(paper ~20 ms), groups of 10 ${speedupAt10.toFixed(1)} ×, of 100 ` +
      `${speedupAt100.toFixed(1)} × (paper 2.7–5.5 ×)`,
  ],
  shows({ modelA, modelB, preSchedulingSavesMs, speedupAt10, speedupAt100 }) {
    const text = (curves: readonly Curve[]): string =>
      curves.map(({ name, cells }) => `${name} ${digits(cells.at(-1)!.batchMs)}`).join('; ');
    return (
      `128 machines, ${consumers} consumers. Charged as in the paper, a cost for every task once ` +
      `a group: pre-scheduling alone saves ${msText(preSchedulingSavesMs)} (paper: about ` +
      `${published5b.preSchedulingSavesMs}), groups of 10 are ${digits(speedupAt10)} × and of ` +
      `100 ${digits(speedupAt100)} × faster than \`bsp\` (paper: ${published5b.speedupMin}–` +
      `${published5b.speedupMax} ×). Our groups, model (b): ${text(modelB)} ms. Model (a): ` +
      `${text(modelA)} ms.`
    );
  },
  plot: ({ modelA, modelB, asPaper }) => [
    linePlot({
      title: 'Time of a micro-batch, two stages: with a driver as slow as Spark’s',
      subtitle:
        'Model (b); 4 producers a machine, 16 consumers. Hollow: a cost for each task once a group',
      series: [...series(modelB), ...series(asPaper, 'paper')],
    }),
    linePlot({
      title: 'Time of a micro-batch, two stages: at what our driver takes',
      subtitle: 'Model (a): all costs as measured on this machine; 100 µs and 10 Gbit/s assumed',
      series: series(modelA),
    }),
  ],
};

function modelOf(
  schedule: Schedule,
  costsOf: 'a' | 'b' | 'paper',
  { fit, measured }: { readonly fit: SparkFit; readonly measured: Parameters<typeof fitSpark>[0] },
): CellOptions['costs'] {
  if (costsOf === 'a') return measuredModel(measured);
  if (schedule.mode === 'bsp' || costsOf === 'paper') return sparkModel(measured, fit);
  return groupModel(measured, fit);
}

/** Thousands of messages a micro-batch make it dear to simulate: no more than it takes. */
function groupsOf(schedule: Schedule, quick: boolean): number {
  const batches = schedule.mode === 'bsp' ? 9 : 60;
  const groupSize = schedule.mode === 'bsp' ? 1 : schedule.groupSize;
  return Math.max(2, Math.ceil((quick ? batches / 3 : batches) / groupSize));
}

function nameOf(schedule: Schedule): string {
  return schedule === alone ? 'pre-scheduling alone, G = 1' : scheduleName(schedule);
}

function lineOf({ name, cells }: Curve): string {
  const points = cells.map(({ machines, batchMs }) => `${machines}: ${msText(batchMs)}`);
  return `${name.padEnd(28)} ${points.join(', ')}`;
}

function series(curves: readonly Curve[], style?: 'paper'): readonly Series[] {
  return curves.map(({ name, schedule, cells }, index) => {
    const own = schedule.mode === 'drizzle' && schedule.lookAhead ? 'dashed' : 'line';
    return {
      name: style === undefined ? name : `${scheduleName(schedule)}, charged by task`,
      color: style === undefined ? index : index + 1,
      style: style ?? own,
      points: cells.map(({ machines, batchMs }) => ({ x: machines, y: batchMs })),
    };
  });
}

function linePlot(plot: Pick<LinePlot, 'title' | 'subtitle' | 'series'>): LinePlot {
  const floor: Series = {
    name: 'floor: the work of the busiest',
    color: 7,
    style: 'floor',
    points: machineCounts.map((x) => ({ x, y: floorMs(x) })),
  };
  return {
    kind: 'lines',
    ...plot,
    x: machinesAxis(128),
    y: { label: 'ms a micro-batch', scale: 'log', min: 0.5, max: 300, ticks: msTicks },
    series: [...plot.series, floor],
  };
}

/** A machine is one core here: its four producers and its share of the consumers. */
function floorMs(machines: number): number {
  return smallWorkMs + workMs[1]! * Math.ceil(consumers / machines);
}
