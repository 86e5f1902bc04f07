// What a figure is: it runs to a result that is written as JSON, tells it in lines, and may be
// plotted. Figures that simulate take what the machine costs from an earlier result, `costs`.

import type { MeasuredCosts } from './costs.ts';
import type { Plot } from './plot.ts';

export type FigureOptions = {
  /** A small version that shows that it works, in seconds; its numbers mean little. */
  readonly quick: boolean;
  /** How often a figure of real processes is measured; by default as often as it takes. */
  readonly runs?: number;
  /** Null while they are being measured. */
  readonly costs: MeasuredCosts | null;
};

export type Figure<Result = unknown> = {
  readonly name: string;
  readonly what: string;
  run(options: FigureOptions): Promise<Result>;
  tell(result: Result): readonly string[];
  /** What it shows, in a sentence or two with the numbers: its row of docs/figures.md. */
  shows(result: Result): string;
  /** The page that is drawn, or null where there is nothing to see. */
  plot(result: Result): readonly Plot[] | null;
};

/** A figure whose result's type does not matter to who runs it. */
export type AnyFigure = {
  readonly name: string;
  readonly what: string;
  readonly make: (options: FigureOptions) => Promise<{
    readonly result: object;
    readonly lines: readonly string[];
    readonly shows: string;
    readonly plots: readonly Plot[] | null;
  }>;
};

export function anyFigure<Result extends object>(figure: Figure<Result>): AnyFigure {
  const { name, what } = figure;
  return {
    name,
    what,
    async make(options) {
      const result = await figure.run(options);
      const { tell, shows, plot } = figure;
      return { result, lines: tell(result), shows: shows(result), plots: plot(result) };
    },
  };
}
