// The arithmetic of fixed windows: which windows hold a pane, when they end. A pane starts at
// `offset + n · paneMs`; windows of size S every H ms hold it from its last window backwards. A
// global window is one pane at 0 that ends at Infinity.

import { unreachable } from '../../base/assert.ts';
import type { WindowSpec } from '../../plan/logical-plan.ts';
import { paneMs } from '../../plan/partials.ts';

export type PaneLayout = {
  readonly paneMs: number;
  readonly sizeMs: number;
  readonly hopMs: number;
  readonly offsetMs: number;
};

export function paneLayout(window: Exclude<WindowSpec, { kind: 'session' }>): PaneLayout {
  switch (window.kind) {
    case 'tumbling': {
      const { sizeMs, offsetMs } = window;
      return { paneMs: sizeMs, sizeMs, hopMs: sizeMs, offsetMs };
    }
    case 'hopping': {
      const { sizeMs, hopMs, offsetMs } = window;
      return { paneMs: paneMs(window), sizeMs, hopMs, offsetMs };
    }
    case 'global':
      return { paneMs: Infinity, sizeMs: Infinity, hopMs: Infinity, offsetMs: 0 };
    default:
      return unreachable(window);
  }
}

/** Start of the last window that holds the pane (or the instant) at `ms`. */
export function lastWindowStart(layout: PaneLayout, ms: number): number {
  const { hopMs, offsetMs } = layout;
  return hopMs === Infinity ? 0 : Math.floor((ms - offsetMs) / hopMs) * hopMs + offsetMs;
}

/** End of the last window that holds the pane (or the instant) at `ms`; -Infinity: in none. */
export function lastWindowEnd(layout: PaneLayout, ms: number): number {
  const end = lastWindowStart(layout, ms) + layout.sizeMs;
  // With gaps between windows (hop > size) an instant may be in none.
  return end > ms ? end : -Infinity;
}

/** Starts of all windows that hold the pane, last first. */
export function windowsOfPane(layout: PaneLayout, pane: number): number[] {
  const starts: number[] = [];
  const last = lastWindowStart(layout, pane);
  for (let start = last; start + layout.sizeMs > pane; start -= layout.hopMs) {
    starts.push(start);
    if (layout.hopMs === Infinity) break;
  }
  return starts;
}
