// Figure 5a: as figure 4a with 90 ms of work, where scheduling matters less and small groups are
// enough.

import type { CellOptions, Schedule } from './cell.ts';
import { digits, scheduleName } from './cell.ts';
import { measuredModel } from './costs.ts';
import type { Figure } from './figure.ts';
import { curveText, machinesAxis, seriesOf } from './fig4a.ts';
import { fitSpark, groupModel, sparkModel } from './models.ts';
import type { LinePlot } from './plot.ts';
import { machineCounts, tasksPerMachine } from './published.ts';
import type { Curve } from './run-cells.ts';
import { runCurves } from './run-cells.ts';
import { oneStage } from './shapes.ts';

export type Figure5a = {
  readonly workMs: number;
  readonly modelA: readonly Curve[];
  readonly modelB: readonly Curve[];
};

const workMs = 90;

const schedules: readonly Schedule[] = [
  { mode: 'bsp' },
  { mode: 'drizzle', groupSize: 25, lookAhead: false },
  { mode: 'drizzle', groupSize: 50, lookAhead: false },
  { mode: 'drizzle', groupSize: 100, lookAhead: false },
  { mode: 'drizzle', groupSize: 10, lookAhead: true },
];

export const figure5a: Figure<Figure5a> = {
  name: 'fig5a',
  what: 'time of a micro-batch by machines: one stage, 90 ms of work',
  async run({ quick, costs }) {
    const fit = fitSpark(costs!);
    const counts = quick ? [4, 16] : machineCounts;
    const cell = (
      machines: number,
      schedule: Schedule,
      model: 'a' | 'b',
    ): Omit<CellOptions, 'schedule'> => {
      const modelB = schedule.mode === 'bsp' ? sparkModel : groupModel;
      return {
        machines,
        shape: oneStage(machines * tasksPerMachine),
        costs: model === 'a' ? measuredModel(costs!) : modelB(costs!, fit),
        workMs: [workMs / tasksPerMachine],
      };
    };
    const curves = (model: 'a' | 'b'): Promise<readonly Curve[]> => {
      const asked = schedules.map((schedule) => ({
        schedule,
        cells: counts.map((machines) => cell(machines, schedule, model)),
      }));
      return runCurves(asked, quick);
    };
    return { workMs, modelA: await curves('a'), modelB: await curves('b') };
  },
  tell: ({ modelA, modelB }) => [
    ...modelB.map((curve) => `(b) ${curveText(curve)}`),
    ...modelA.map((curve) => `(a) ${curveText(curve)}`),
  ],
  shows({ modelA, modelB }) {
    const text = (curves: readonly Curve[]): string =>
      curves
        .map(({ schedule, cells }) => `${scheduleName(schedule)} ${digits(cells.at(-1)!.batchMs)}`)
        .join('; ');
    return (
      `128 machines, ${workMs} ms of work. Model (b): ${text(modelB)} ms: groups of 25 take ` +
      `nearly all of the benefit, as in the paper. Model (a): ${text(modelA)} ms.`
    );
  },
  plot({ modelB }): readonly LinePlot[] {
    return [
      {
        kind: 'lines',
        title: 'Time of a micro-batch, one stage, 90 ms of work',
        subtitle: 'Model (b): a task costs the driver what it cost Spark’s',
        x: machinesAxis(128),
        y: { label: 'ms a micro-batch', scale: 'linear', min: 0, max: 320 },
        series: [
          ...seriesOf(modelB),
          {
            name: `floor: the work itself, ${workMs} ms`,
            color: 7,
            style: 'floor',
            points: [4, 128].map((x) => ({ x, y: workMs })),
          },
        ],
      },
    ];
  },
};
