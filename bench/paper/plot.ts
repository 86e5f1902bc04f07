// Draws plots as SVG: lines and points over linear or logarithmic axes, and stacked bars, each with
// a legend beside it. Draws on a white card, so that it reads the same on any page.

import { assert } from '../../src/base/assert.ts';

export type Axis = {
  readonly label: string;
  readonly scale: 'linear' | 'log';
  readonly min: number;
  readonly max: number;
  /** Marked values; by default round ones. */
  readonly ticks?: readonly number[];
};

export type Point = { readonly x: number; readonly y: number };

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

export type Plot = LinePlot | BarPlot;

/** Distinguishable also by people who see red and green alike (Okabe and Ito). */
const palette = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
  '#3f3f46',
  '#8a8a94',
];

const font = 'font-family="system-ui, -apple-system, Segoe UI, Roboto, Helvetica, sans-serif"';
const ink = '#1f2328';
const faint = '#59636e';
const grid = '#e6e8eb';
const gap = 16;
const width = 960;
const legendWidth = 290;
const margin = { top: 76, right: legendWidth + 28, bottom: 58, left: 76 };

type Frame = {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
};

export function drawSvg(plots: readonly Plot[]): string {
  let top = 0;
  const drawn = plots.map((plot) => {
    const height = plot.kind === 'lines' ? 480 : margin.top + margin.bottom + barsHeight(plot);
    const body = plot.kind === 'lines' ? drawLines(plot, height) : drawBars(plot, height);
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

function drawLines(plot: LinePlot, height: number): string {
  const frame = frameOf(height);
  const x = scaleOf(plot.x, frame.left, frame.left + frame.width);
  const y = scaleOf(plot.y, frame.top + frame.height, frame.top);
  const lines = [heading(plot), drawXAxis(plot.x, x, frame), drawYAxis(plot.y, y, frame)];
  plot.series.forEach((series) => {
    const shown = series.points
      .filter((point) => Number.isFinite(point.y) && point.y > 0)
      .map((point) => ({ x: x(point.x), y: y(point.y) }));
    lines.push(drawSeries(series, shown));
  });
  plot.series.forEach((series, index) => {
    const at = { x: width - legendWidth - 4, y: frame.top + 10 + index * 24 };
    const sample = [at, { x: at.x + 30, y: at.y }];
    lines.push(
      drawSeries(series, ['floor', 'trace'].includes(series.style) ? sample : middle(sample)),
    );
    lines.push(text(series.name, { x: at.x + 40, y: at.y + 4 }));
  });
  return lines.join('\n');
}

/** A sample in a legend has one point, between its ends. */
function middle([from, to]: readonly Point[]): readonly Point[] {
  return [from!, { x: (from!.x + to!.x) / 2, y: from!.y }, to!];
}

function drawSeries(series: Series, points: readonly Point[]): string {
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
  // In a legend the ends are no points.
  const marked = points.length === 3 && points[0]!.y === points[2]!.y ? [points[1]!] : points;
  const fill = series.style === 'paper' ? '#ffffff' : color;
  const radius = series.style === 'paper' ? 4 : 3.25;
  const markers = marked.map(
    ({ x, y }) =>
      `<circle cx="${n(x)}" cy="${n(y)}" r="${radius}" fill="${fill}" stroke="${color}" ` +
      `stroke-width="1.5"/>`,
  );
  return [line, ...markers].join('');
}

function drawXAxis(axis: Axis, x: (value: number) => number, frame: Frame): string {
  const bottom = frame.top + frame.height;
  const lines = ticksOf(axis).flatMap((value) => [
    `<line x1="${n(x(value))}" x2="${n(x(value))}" y1="${frame.top}" y2="${bottom}" ` +
      `stroke="${grid}"/>`,
    text(label(value), { x: x(value), y: bottom + 20 }, 'middle'),
  ]);
  const middleX = frame.left + frame.width / 2;
  lines.push(text(axis.label, { x: middleX, y: bottom + 44 }, 'middle', faint));
  return lines.join('\n');
}

function drawYAxis(axis: Axis, y: (value: number) => number, frame: Frame): string {
  const right = frame.left + frame.width;
  const lines = ticksOf(axis).flatMap((value) => [
    `<line x1="${frame.left}" x2="${right}" y1="${n(y(value))}" y2="${n(y(value))}" ` +
      `stroke="${grid}"/>`,
    text(label(value), { x: frame.left - 10, y: y(value) + 4 }, 'end'),
  ]);
  const middleY = frame.top + frame.height / 2;
  lines.push(
    `<text transform="translate(20 ${n(middleY)}) rotate(-90)" text-anchor="middle" ` +
      `fill="${faint}">${escaped(axis.label)}</text>`,
  );
  return lines.join('\n');
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

function heading({ title, subtitle }: Plot): string {
  return [
    `<text x="24" y="32" font-size="18" font-weight="600">${escaped(title)}</text>`,
    text(subtitle, { x: 24, y: 54 }, 'start', faint),
  ].join('\n');
}

function frameOf(height: number): Frame {
  return {
    left: margin.left,
    top: margin.top,
    width: width - margin.left - margin.right,
    height: height - margin.top - margin.bottom,
  };
}

function scaleOf(axis: Axis, from: number, to: number): (value: number) => number {
  assert(axis.max > axis.min, 'an axis leads somewhere');
  assert(axis.scale === 'linear' || axis.min > 0, 'a logarithmic axis has no zero');
  const place = axis.scale === 'log' ? Math.log : (value: number): number => value;
  const low = place(axis.min);
  const high = place(axis.max);
  return (value) => {
    const kept = Math.min(axis.max, Math.max(axis.min, value));
    return from + ((to - from) * (place(kept) - low)) / (high - low);
  };
}

function ticksOf({ scale, min, max, ticks }: Axis): readonly number[] {
  if (ticks !== undefined) return ticks;
  if (scale === 'log') {
    const decades: number[] = [];
    for (let power = Math.ceil(Math.log10(min) - 1e-9); 10 ** power <= max * 1.0001; power++) {
      decades.push(10 ** power);
    }
    return decades;
  }
  const step = [1, 2, 5, 10]
    .flatMap((digit) => [-3, -2, -1, 0, 1, 2, 3].map((power) => digit * 10 ** power))
    .toSorted((a, b) => a - b)
    .find((size) => (max - min) / size <= 8)!;
  const values: number[] = [];
  for (let at = Math.ceil(min / step); at * step <= max * 1.0001; at++) values.push(at * step);
  return values;
}

function label(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString('en-US', { maximumFractionDigits: 6 });
}

function text(
  content: string,
  at: Point,
  anchor: 'start' | 'middle' | 'end' = 'start',
  color: string = ink,
): string {
  return (
    `<text x="${n(at.x)}" y="${n(at.y)}" text-anchor="${anchor}" fill="${color}">` +
    `${escaped(content)}</text>`
  );
}

function rect({ left, top, width: wide, height }: Frame, fill: string): string {
  const at = `x="${n(left)}" y="${n(top)}" width="${n(wide)}" height="${n(height)}"`;
  const card = fill === '#ffffff' ? ` rx="8" stroke="${grid}"` : '';
  return `<rect ${at} fill="${fill}"${card}/>`;
}

function colorOf(index: number): string {
  return palette[index % palette.length]!;
}

function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
