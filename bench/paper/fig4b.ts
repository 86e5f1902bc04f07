// Figure 4b: where the time of a micro-batch goes at 128 machines, as workers see it.

import type { ScaleCosts } from '../../src/sim/scale/scale-costs.ts';
import type { Cell, Schedule } from './cell.ts';
import { digits, msText, scheduleName } from './cell.ts';
import { measuredModel } from './costs.ts';
import type { Figure } from './figure.ts';
import { schedules } from './fig4a.ts';
import { fitSpark, groupModel, smallWorkMs, sparkModel } from './models.ts';
import type { BarPlot } from './plot.ts';
import { tasksPerMachine } from './published.ts';
import { runCurves } from './run-cells.ts';
import { oneStage } from './shapes.ts';

type Bar = { readonly schedule: Schedule; readonly cell: Cell };

export type Figure4b = {
  readonly machines: number;
  readonly workMs: number;
  readonly modelA: readonly Bar[];
  readonly modelB: readonly Bar[];
};

export const figure4b: Figure<Figure4b> = {
  name: 'fig4b',
  what: 'where the time of a micro-batch goes at 128 machines',
  async run({ quick, costs }) {
    const machines = quick ? 16 : 128;
    const fit = fitSpark(costs!);
    const bars = async (modelOf: (schedule: Schedule) => ScaleCosts): Promise<readonly Bar[]> => {
      const asked = schedules.map((schedule) => ({
        schedule,
        cells: [
          {
            machines,
            shape: oneStage(machines * tasksPerMachine),
            costs: modelOf(schedule),
            workMs: [smallWorkMs / tasksPerMachine],
          },
        ],
      }));
      const curves = await runCurves(asked, quick);
      return curves.map(({ schedule, cells }) => ({ schedule, cell: cells[0]! }));
    };
    const modelB = await bars(({ mode }) => {
      return mode === 'bsp' ? sparkModel(costs!, fit) : groupModel(costs!, fit);
    });
    const modelA = await bars(() => measuredModel(costs!));
    return { machines, workMs: smallWorkMs, modelA, modelB };
  },
  tell({ modelA, modelB }) {
    const line = ({ schedule, cell }: Bar): string => {
      const { schedulingMs, transferMs, computeMs, idleMs } = cell.parts;
      return (
        `${scheduleName(schedule).padEnd(20)} scheduling ${msText(schedulingMs)}, transfer ` +
        `${msText(transferMs)}, compute ${msText(computeMs)}, idle ${msText(idleMs)}`
      );
    };
    return [...modelB.map((bar) => `(b) ${line(bar)}`), ...modelA.map((bar) => `(a) ${line(bar)}`)];
  },
  shows({ machines, modelB }) {
    const texts = modelB.map(({ schedule, cell: { batchMs, parts } }) => {
      const { schedulingMs, computeMs } = parts;
      return (
        `${scheduleName(schedule)} ${msText(batchMs)}: scheduling ${digits(schedulingMs)}, work ` +
        `${digits(computeMs)}`
      );
    });
    return `${machines} machines, model (b): ${texts.join('; ')} ms.`;
  },
  plot({ machines, modelA, modelB }) {
    const groupsB = modelB.filter(({ schedule }) => schedule.mode !== 'bsp');
    const whole = modelB.filter(({ schedule }) => schedule.mode === 'bsp');
    const at = `${machines} machines`;
    return [
      barPlot(`Where the time goes, model (b), ${at}: bulk-synchronous`, whole),
      barPlot(`Where the time goes, model (b), ${at}: in groups`, groupsB),
      barPlot(`Where the time goes, model (a), ${at}`, modelA),
    ];
  },
};

function barPlot(title: string, bars: readonly Bar[]): BarPlot {
  const max = Math.max(...bars.map(({ cell }) => cell.batchMs));
  return {
    kind: 'bars',
    title,
    subtitle: 'Mean over workers. Scheduling: the driver works while workers wait',
    x: { label: 'ms of a micro-batch', scale: 'linear', min: 0, max },
    parts: [
      { name: 'compute', color: 2 },
      { name: 'transfer', color: 5 },
      { name: 'scheduling', color: 1 },
      { name: 'idle', color: 7 },
    ],
    bars: bars.map(({ schedule, cell: { batchMs, parts } }) => ({
      name: scheduleName(schedule),
      values: [parts.computeMs, parts.transferMs, parts.schedulingMs, parts.idleMs],
      note: msText(batchMs),
    })),
  };
}
