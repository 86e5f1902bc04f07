// A plot of what happened when: a lane for each process, boxes for what it did, and arrows for
// messages.

import type { Axis, Frame } from './plot-parts.ts';
import {
  colorOf,
  drawXAxis,
  faint,
  heading,
  margin,
  n,
  rect,
  scaleOf,
  text,
  width,
} from './plot-parts.ts';

export type LanePlot = {
  readonly kind: 'lanes';
  readonly title: string;
  readonly subtitle: string;
  readonly x: Axis;
  readonly lanes: readonly string[];
  readonly boxes: readonly {
    readonly lane: number;
    readonly from: number;
    readonly to: number;
    readonly color: number;
  }[];
  readonly arrows: readonly {
    readonly fromLane: number;
    readonly from: number;
    readonly toLane: number;
    readonly to: number;
    readonly color: number;
    readonly bold: boolean;
  }[];
  /** Moments, across all lanes; named in one of two rows above them. */
  readonly moments: readonly {
    readonly at: number;
    readonly name: string;
    readonly row: 0 | 1;
  }[];
  readonly legend: readonly {
    readonly name: string;
    readonly color: number;
    readonly shape: 'box' | 'arrow';
  }[];
};

const laneHeight = 46;
const boxHeight = 18;
const names = 96;

export function lanesHeight(plot: LanePlot): number {
  return margin.top + 58 + plot.lanes.length * laneHeight + margin.bottom;
}

export function drawLanes(plot: LanePlot): string {
  const frame: Frame = {
    left: names,
    top: margin.top + 58,
    width: width - names - 32,
    height: plot.lanes.length * laneHeight,
  };
  const x = scaleOf(plot.x, frame.left, frame.left + frame.width);
  const middle = (lane: number): number => frame.top + (lane + 0.5) * laneHeight;
  const inside = (at: number): boolean => at >= plot.x.min && at <= plot.x.max;
  const lines = [heading(plot), drawLegend(plot, frame.left), drawXAxis(plot.x, x, frame)];
  plot.lanes.forEach((name, lane) => {
    const y = n(middle(lane));
    lines.push(
      text(name, { x: frame.left - 12, y: middle(lane) + 4 }, 'end'),
      `<line x1="${frame.left}" x2="${frame.left + frame.width}" y1="${y}" y2="${y}" ` +
        `stroke="${colorOf(7)}" stroke-width="0.75"/>`,
    );
  });
  for (const { at, name, row } of plot.moments) {
    if (!inside(at)) continue;
    lines.push(
      `<line x1="${n(x(at))}" x2="${n(x(at))}" y1="${frame.top - 8}" ` +
        `y2="${frame.top + frame.height}" stroke="${faint}" stroke-dasharray="3 3"/>`,
      text(name, { x: x(at), y: frame.top - 26 + 14 * row }, 'middle', faint),
    );
  }
  for (const { lane, from, to, color } of plot.boxes) {
    if (!inside(from) && !inside(to)) continue;
    const wide = Math.max(1.5, x(to) - x(from));
    const top = middle(lane) - boxHeight / 2;
    lines.push(rect({ left: x(from), top, width: wide, height: boxHeight }, colorOf(color)));
  }
  for (const arrow of plot.arrows) {
    if (!inside(arrow.from) || !inside(arrow.to)) continue;
    const [x1, y1] = [x(arrow.from), middle(arrow.fromLane)];
    lines.push(drawArrow({ x1, y1, x2: x(arrow.to), y2: middle(arrow.toLane) }, arrow));
  }
  return lines.join('\n');
}

type Line = {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
};

function drawArrow(
  { x1, y1, x2, y2 }: Line,
  { color, bold }: Pick<LanePlot['arrows'][number], 'color' | 'bold'>,
): string {
  const length = Math.hypot(x2 - x1, y2 - y1) || 1;
  const [dx, dy] = [(x2 - x1) / length, (y2 - y1) / length];
  const side = (by: number): string => `${n(x2 - 7 * dx - by * dy)},${n(y2 - 7 * dy + by * dx)}`;
  const stroke = `stroke="${colorOf(color)}" stroke-width="${bold ? 2.5 : 1}"`;
  return (
    `<line x1="${n(x1)}" y1="${n(y1)}" x2="${n(x2)}" y2="${n(y2)}" ${stroke}/>` +
    `<polygon points="${n(x2)},${n(y2)} ${side(3)} ${side(-3)}" fill="${colorOf(color)}"/>`
  );
}

function drawLegend({ legend }: LanePlot, left: number): string {
  let at = left;
  const y = margin.top - 2;
  const parts = legend.map(({ name, color, shape }) => {
    const sample =
      shape === 'box'
        ? rect({ left: at + 6, top: y - 11, width: 14, height: 14 }, colorOf(color))
        : drawArrow({ x1: at, y1: y - 4, x2: at + 22, y2: y - 4 }, { color, bold: false });
    const named = sample + text(name, { x: at + 30, y });
    at += 52 + 7.2 * name.length;
    return named;
  });
  return parts.join('\n');
}
