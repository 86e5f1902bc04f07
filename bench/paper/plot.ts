// Draws plots as SVG: lines and points over linear or logarithmic axes, and stacked bars, each with
// a legend beside it, and what happened in lanes of time. Draws on a white card, so that it reads
// the same on any page.

import type { LanePlot } from './plot-lanes.ts';
import { drawLanes, lanesHeight } from './plot-lanes.ts';
import type { Axis, Point } from './plot-parts.ts';
import {
  colorOf,
  drawXAxis,
  drawYAxis,
  faint,
  font,
  frameOf,
  heading,
  ink,
  legendWidth,
  margin,
  n,
  rect,
  scaleOf,
  text,
  width,
} from './plot-parts.ts';

export type Series = {
  readonly name: string;
  /** Index into the palette. */
  readonly color: number;
  /**
   * `paper`: hollow points of somebody else's measurement, joined by a thin line; `trace`: so many
   * points that only their line is drawn.
   */
  readonly style: 'line' | 'dashed' | 'paper' | 'floor' | 'trace';
  readonly points: readonly Point[];
};

export type LinePlot = {
  readonly kind: 'lines';
  readonly title: string;
  readonly subtitle: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
};

export type BarPlot = {
  readonly kind: 'bars';
  readonly title: string;
  readonly subtitle: string;
  readonly x: Axis;
  /** Parts of each bar, from the left. */
  readonly parts: readonly { readonly name: string; readonly color: number }[];
  readonly bars: readonly {
    readonly name: string;
    readonly values: readonly number[];
    /** Written behind the bar. */
    readonly note: string;
  }[];
};

export type Plot = LinePlot | BarPlot | LanePlot;

const gap = 16;

export function drawSvg(plots: readonly Plot[]): string {
  let top = 0;
  const drawn = plots.map((plot) => {
    const { height, body } = drawPlot(plot);
    const card = rect({ left: 0.5, top: 0.5, width: width - 1, height: height - 1 }, '#ffffff');
    const moved = `<g transform="translate(0 ${top})">\n${card}\n${body}\n</g>`;
    top += height + gap;
    return moved;
  });
  const height = top - gap;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}"`,
    ` height="${height}" ${font} font-size="13" fill="${ink}">`,
    `\n${drawn.join('\n')}\n</svg>\n`,
  ].join('');
}

function drawPlot(plot: Plot): { readonly height: number; readonly body: string } {
  switch (plot.kind) {
    case 'lines':
      return { height: 480, body: drawLines(plot, 480) };
    case 'bars': {
      const height = margin.top + margin.bottom + barsHeight(plot);
      return { height, body: drawBars(plot, height) };
    }
    case 'lanes':
      return { height: lanesHeight(plot), body: drawLanes(plot) };
  }
}

function drawLines(plot: LinePlot, height: number): string {
  const frame = frameOf(height);
  const x = scaleOf(plot.x, frame.left, frame.left + frame.width);
  const y = scaleOf(plot.y, frame.top + frame.height, frame.top);
  const lines = [heading(plot), drawXAxis(plot.x, x, frame), drawYAxis(plot.y, y, frame)];
  plot.series.forEach((series) => {
    const shown = series.points
      .filter((point) => Number.isFinite(point.y) && point.y > 0)
      .map((point) => ({ x: x(point.x), y: y(point.y) }));
    lines.push(drawSeries(series, shown, shown));
  });
  plot.series.forEach((series, index) => {
    const at = { x: width - legendWidth - 4, y: frame.top + 10 + index * 24 };
    const sample = [at, { x: at.x + 30, y: at.y }];
    lines.push(drawSeries(series, sample, [{ x: at.x + 15, y: at.y }]));
    lines.push(text(series.name, { x: at.x + 40, y: at.y + 4 }));
  });
  return lines.join('\n');
}

function drawSeries(series: Series, points: readonly Point[], marked: readonly Point[]): string {
  const color = colorOf(series.color);
  const path = points.map(({ x, y }) => `${n(x)},${n(y)}`).join(' ');
  const stroke = {
    line: 'stroke-width="2.25"',
    dashed: 'stroke-width="2.25" stroke-dasharray="7 4"',
    paper: 'stroke-width="1" stroke-dasharray="2 3"',
    floor: 'stroke-width="1.5" stroke-dasharray="1 4" stroke-linecap="round"',
    trace: 'stroke-width="1.75" stroke-linejoin="round"',
  }[series.style];
  const line = `<polyline points="${path}" fill="none" stroke="${color}" ${stroke}/>`;
  if (series.style === 'floor' || series.style === 'trace') return line;
  const fill = series.style === 'paper' ? '#ffffff' : color;
  const radius = series.style === 'paper' ? 4 : 3.25;
  const markers = marked.map(
    ({ x, y }) =>
      `<circle cx="${n(x)}" cy="${n(y)}" r="${radius}" fill="${fill}" stroke="${color}" ` +
      `stroke-width="1.5"/>`,
  );
  return [line, ...markers].join('');
}

const barHeight = 24;
const barGap = 10;
const barNames = 220;

function barsHeight(plot: BarPlot): number {
  return plot.bars.length * (barHeight + barGap);
}

function drawBars(plot: BarPlot, height: number): string {
  const frame = {
    left: barNames,
    top: margin.top + 22,
    width: width - barNames - 190,
    height: height - margin.top - margin.bottom - 22,
  };
  const x = scaleOf(plot.x, frame.left, frame.left + frame.width);
  const lines = [heading(plot), drawXAxis(plot.x, x, frame)];
  let legendX = frame.left;
  for (const part of plot.parts) {
    const box = { left: legendX, top: margin.top - 8, width: 14, height: 14 };
    lines.push(
      rect(box, colorOf(part.color)),
      text(part.name, { x: legendX + 20, y: box.top + 12 }),
    );
    legendX += 48 + 7.2 * part.name.length;
  }
  const step = frame.height / plot.bars.length;
  plot.bars.forEach(({ name, values, note }, row) => {
    const top = frame.top + row * step + (step - barHeight) / 2;
    lines.push(text(name, { x: frame.left - 12, y: top + 17 }, 'end'));
    let sum = 0;
    values.forEach((value, part) => {
      const left = x(sum);
      sum += value;
      const box = { left, top, width: Math.max(0, x(sum) - left), height: barHeight };
      lines.push(rect(box, colorOf(plot.parts[part]!.color)));
    });
    lines.push(text(note, { x: x(sum) + 8, y: top + 17 }, 'start', faint));
  });
  return lines.join('\n');
}
