// All figures, in the order in which `all` makes them: what others build on comes first.

import { costsFigure } from './costs.ts';
import { driverLoad } from './driver-load.ts';
import type { AnyFigure } from './figure.ts';
import { anyFigure } from './figure.ts';
import { figure4a } from './fig4a.ts';
import { figure4b } from './fig4b.ts';
import { figure5a } from './fig5a.ts';
import { figure5b } from './fig5b.ts';
import { figure7 } from './fig7.ts';
import { groupSize } from './group-size.ts';
import { real } from './real.ts';
import { recovery } from './recovery.ts';
import { timeline } from './timeline.ts';

export const figures: readonly AnyFigure[] = [
  anyFigure(costsFigure),
  anyFigure(figure4a),
  anyFigure(figure4b),
  anyFigure(figure5a),
  anyFigure(figure5b),
  anyFigure(driverLoad),
  anyFigure(groupSize),
  anyFigure(real),
  anyFigure(timeline),
];

/** Made by their names only: they take minutes and want an idle machine. */
export const longFigures: readonly AnyFigure[] = [anyFigure(figure7), anyFigure(recovery)];
