// Figure 4a: a single stage with under 1 ms of work, four tasks a machine, weak scaling. Time of a
// micro-batch by machines: in model (b) beside the paper's points, in model (a) up to 10,000.

import type { CellOptions, Schedule } from './cell.ts';
import { digits, msText, scheduleName } from './cell.ts';
import { measuredModel } from './costs.ts';
import type { Figure } from './figure.ts';
import type { SparkFit } from './models.ts';
import { fitSpark, groupModel, smallWorkMs, sparkModel } from './models.ts';
import type { LinePlot, Series } from './plot.ts';
import { machineCounts, published4a, publishedDrizzle, tasksPerMachine } from './published.ts';
import type { Curve } from './run-cells.ts';
import { batchMsAt, runCurves } from './run-cells.ts';
import { oneStage } from './shapes.ts';

export type Figure4a = {
  readonly workMs: number;
  readonly fit: SparkFit;
  readonly paper: typeof published4a;
  /** The paper's Drizzle at G = 10 by its own fit t(G) = b + a/G. */
  readonly paperAt10: readonly number[];
  readonly modelA: readonly Curve[];
  readonly modelB: readonly Curve[];
  /** Model (b) and 128 machines: time above the work in bsp by that of groups of 100. */
  readonly coordinationRatioB: number;
  readonly coordinationRatioA: number;
};

const bsp: Schedule = { mode: 'bsp' };

function groupsOf(groupSize: number): Schedule {
  return { mode: 'drizzle', groupSize, lookAhead: false };
}

function aheadOf(groupSize: number): Schedule {
  return { mode: 'drizzle', groupSize, lookAhead: true };
}

export const schedules: readonly Schedule[] = [
  bsp,
  groupsOf(25),
  groupsOf(50),
  groupsOf(100),
  aheadOf(10),
  aheadOf(100),
];

export const figure4a: Figure<Figure4a> = {
  name: 'fig4a',
  what: 'time of a micro-batch by machines: one stage, under 1 ms of work',
  async run({ quick, costs }) {
    const fit = fitSpark(costs!);
    const few = quick ? [4, 16] : machineCounts;
    const many = quick ? [4, 16, 32] : [...machineCounts, 1000, 10_000];
    const asked = schedules.map((schedule) => ({
      schedule,
      cells: many.map((machines) => cell(machines, schedule, measuredModel(costs!))),
    }));
    const askedB = schedules.map((schedule) => ({
      schedule,
      cells: few.map((machines) => {
        const model = schedule.mode === 'bsp' ? sparkModel : groupModel;
        return cell(machines, schedule, model(costs!, fit));
      }),
    }));
    const modelA = await runCurves(asked, quick);
    const modelB = await runCurves(askedB, quick);
    const last = few.length - 1;
    return {
      workMs: smallWorkMs,
      fit,
      paper: published4a,
      paperAt10: machineCounts.map((_, index) => publishedDrizzle(index, 10)),
      modelA,
      modelB,
      coordinationRatioB: ratio(modelB, last),
      coordinationRatioA: ratio(modelA, last),
    };
  },
  tell({ fit, modelA, modelB, coordinationRatioA, coordinationRatioB }) {
    const errors = fit.errors.map((error) => `${(100 * error).toFixed(0)} %`).join(', ');
    const one = fit.oneNumber.errors.map((error) => `${(100 * error).toFixed(0)} %`).join(', ');
    return [
      `model (b): ${msText(fit.fixedMs)} a stage + ${fit.taskMs.toFixed(3)} ms a task: ${errors}`,
      `with ${fit.oneNumber.taskMs.toFixed(3)} ms a task alone: ${one}`,
      ...modelB.map((curve) => `(b) ${curveText(curve)}`),
      ...modelA.map((curve) => `(a) ${curveText(curve)}`),
      `coordination at 128 machines, bsp by G = 100: (b) ${coordinationRatioB.toFixed(0)} ×, ` +
        `(a) ${coordinationRatioA.toFixed(0)} ×`,
    ];
  },
  shows({ fit, modelA, modelB, workMs, coordinationRatioB }) {
    const { machines } = modelB[0]!.cells.at(-1)!;
    const { machines: most } = modelA[0]!.cells.at(-1)!;
    const a = (schedule: Schedule, at = machines): number => batchMsAt(modelA, schedule, at);
    const b = (schedule: Schedule): number => batchMsAt(modelB, schedule, machines);
    const worst = Math.max(...fit.errors.map(Math.abs));
    const groups = [25, 50, 100].map((size) => digits(b(groupsOf(size)))).join(', ');
    const paper = published4a.groups.map(({ ms }) => digits(ms.at(-1)!)).join(', ');
    const many = [bsp, groupsOf(100), aheadOf(100)].map((schedule) => digits(a(schedule, most)));
    return (
      `${machines} machines. Model (b): \`bsp\` ${msText(b(bsp))} (the paper's Spark: 193, which ` +
      `the fit meets within ${(100 * worst).toFixed(1)} % everywhere); G = 25, 50, 100 without ` +
      `look-ahead ${groups} ms (paper: ${paper}): ${digits(b(bsp) / b(groupsOf(100)))} × less at ` +
      `G = 100, ${digits(coordinationRatioB)} × counted above the work (${workMs} ms); G = 10 ` +
      `with ` +
      `look-ahead ${msText(b(aheadOf(10)))}. Model (a): \`bsp\` ${msText(a(bsp))}, G = 100 ` +
      `${msText(a(groupsOf(100)))}, G = 10 with look-ahead ${msText(a(aheadOf(10)))}, ` +
      `${msText(a(aheadOf(10)) - workMs)} above the work. ` +
      `${most.toLocaleString('en-US')} machines, model (a): \`bsp\` ${many[0]}, G = 100 ` +
      `${many[1]}, with look-ahead ${many[2]} ms.`
    );
  },
  plot: (figure) => [plotB(figure), plotA(figure)],
};

export function curveText({ schedule, cells }: Curve): string {
  const points = cells.map(
    ({ machines, batchMs, overloaded }) =>
      `${machines}: ${msText(batchMs)}${overloaded ? ' (overloaded)' : ''}`,
  );
  return `${scheduleName(schedule).padEnd(20)} ${points.join(', ')}`;
}

function cell(
  machines: number,
  schedule: Schedule,
  costs: CellOptions['costs'],
): Omit<CellOptions, 'schedule'> {
  // The driver of a group does not see tasks: at ten thousand machines, one stands for four.
  const tasks = machines > 1000 && schedule.mode === 'drizzle' ? 1 : tasksPerMachine;
  const groups = machines > 1000 ? (schedule.mode === 'bsp' ? 4 : groupsAtMany(schedule)) : null;
  return {
    machines,
    shape: oneStage(machines * tasks),
    costs,
    workMs: [smallWorkMs / tasks],
    ...(groups === null ? {} : { groups }),
  };
}

function groupsAtMany({ groupSize }: Extract<Schedule, { mode: 'drizzle' }>): number {
  return groupSize === 10 ? 9 : 2;
}

function ratio(curves: readonly Curve[], index: number): number {
  const above = ([curve]: readonly Curve[]): number => curve!.cells[index]!.batchMs - smallWorkMs;
  const groups = curves.filter(
    ({ schedule }) =>
      schedule.mode === 'drizzle' && schedule.groupSize === 100 && !schedule.lookAhead,
  );
  return above(curves) / above(groups);
}

export function machinesAxis(max: number): LinePlot['x'] {
  const ticks = [4, 8, 16, 32, 64, 128, 1000, 10_000].filter((count) => count <= max);
  return { label: 'machines (4 tasks each)', scale: 'log', min: 3.5, max: max * 1.15, ticks };
}

export function seriesOf(curves: readonly Curve[]): readonly Series[] {
  return curves.map(({ schedule, cells }, index) => ({
    name: scheduleName(schedule),
    color: index,
    style: schedule.mode === 'drizzle' && schedule.lookAhead ? 'dashed' : 'line',
    points: cells.map(({ machines, batchMs }) => ({ x: machines, y: batchMs })),
  }));
}

function plotB({ modelB }: Figure4a): LinePlot {
  const paper = (name: string, color: number, ms: readonly number[]): Series => ({
    name,
    color,
    style: 'paper',
    points: machineCounts.map((machines, index) => ({ x: machines, y: ms[index]! })),
  });
  return {
    kind: 'lines',
    title: 'Time of a micro-batch, one stage: with a driver as slow as Spark’s',
    subtitle:
      'Model (b): a task costs the driver what it cost Spark’s; a group, a message a worker',
    x: machinesAxis(128),
    y: { label: 'ms a micro-batch', scale: 'log', min: 0.5, max: 300, ticks: msTicks },
    series: [
      paper('paper: Spark', 0, published4a.spark),
      ...published4a.groups.map(({ groupSize, ms }, index) =>
        paper(`paper: Drizzle, G = ${groupSize}`, index + 1, ms),
      ),
      ...seriesOf(modelB),
      floor([4, 128]),
    ],
  };
}

function plotA({ modelA }: Figure4a): LinePlot {
  return {
    kind: 'lines',
    title: 'Time of a micro-batch, one stage: at what our driver takes',
    subtitle: 'Model (a): all costs as measured on this machine; 100 µs and 10 Gbit/s assumed',
    x: machinesAxis(10_000),
    y: { label: 'ms a micro-batch', scale: 'log', min: 0.5, max: 300, ticks: msTicks },
    series: [...seriesOf(modelA), floor([4, 10_000])],
  };
}

export const msTicks = [0.5, 1, 2, 5, 10, 20, 50, 100, 200];

function floor(machines: readonly number[]): Series {
  return {
    name: `floor: the work itself, ${smallWorkMs} ms`,
    color: 7,
    style: 'floor',
    points: machines.map((x) => ({ x, y: smallWorkMs })),
  };
}
