// What all plots are drawn of: axes, texts, boxes, colors, and the size of a card.

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

export const font =
  'font-family="system-ui, -apple-system, Segoe UI, Roboto, Helvetica, sans-serif"';
export const ink = '#1f2328';
export const faint = '#59636e';
export const grid = '#e6e8eb';
export const width = 960;
export const legendWidth = 290;
export const margin = { top: 76, right: legendWidth + 28, bottom: 58, left: 76 };

export type Frame = {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
};

export function drawXAxis(axis: Axis, x: (value: number) => number, frame: Frame): string {
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

export function drawYAxis(axis: Axis, y: (value: number) => number, frame: Frame): string {
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

export function heading(plot: { readonly title: string; readonly subtitle: string }): string {
  const { title, subtitle } = plot;
  return [
    `<text x="24" y="32" font-size="18" font-weight="600">${escaped(title)}</text>`,
    text(subtitle, { x: 24, y: 54 }, 'start', faint),
  ].join('\n');
}

export function frameOf(height: number): Frame {
  return {
    left: margin.left,
    top: margin.top,
    width: width - margin.left - margin.right,
    height: height - margin.top - margin.bottom,
  };
}

export function scaleOf(axis: Axis, from: number, to: number): (value: number) => number {
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

export function text(
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

export function rect({ left, top, width: wide, height }: Frame, fill: string): string {
  const at = `x="${n(left)}" y="${n(top)}" width="${n(wide)}" height="${n(height)}"`;
  const card = fill === '#ffffff' ? ` rx="8" stroke="${grid}"` : '';
  return `<rect ${at} fill="${fill}"${card}/>`;
}

export function colorOf(index: number): string {
  return palette[index % palette.length]!;
}

export function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}

export function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
