// Windows of event time as users write them.

import type { Duration } from '../base/duration.ts';
import { parseDurationMs } from '../base/duration.ts';
import type { CallSite } from '../base/call-site.ts';
import { captureCallSite } from '../base/call-site.ts';
import type { WindowSpec } from '../plan/logical-plan.ts';
import { paneMs } from '../plan/partials.ts';
import type { Mistake } from '../schema/mistake.ts';
import { mistake, placed } from '../schema/mistake.ts';

/** A window of event time. Made by `tumbling`, `hopping` and `session`. */
export type Window = { readonly spec: WindowSpec; readonly mistakes: readonly Mistake[] };

/** `offset`: windows start this much after the epoch's multiples of the size. */
export type WindowOffset = { readonly offset?: Duration };

/**
 * Windows of one size, side by side.
 *
 * @example
 * stream.groupBy('campaign_id').window(tumbling('10s'));
 */
export function tumbling(size: Duration, options: WindowOffset = {}): Window {
  const check = new DurationCheck();
  const sizeMs = check.positive('the window size', size);
  const offsetMs = check.whole('the offset', options.offset ?? 0);
  return check.window({ kind: 'tumbling', sizeMs, offsetMs }, captureCallSite(tumbling));
}

/**
 * Windows of one size that start every `hop`, so that an event is in several of them.
 *
 * @example
 * stream.groupBy('campaign_id').window(hopping('10s', '2s'));
 */
export function hopping(size: Duration, hop: Duration, options: WindowOffset = {}): Window {
  const check = new DurationCheck();
  const sizeMs = check.positive('the window size', size);
  const hopMs = check.positive('the hop', hop);
  const offsetMs = check.whole('the offset', options.offset ?? 0);
  check.hop(sizeMs, hopMs);
  return check.window({ kind: 'hopping', sizeMs, hopMs, offsetMs }, captureCallSite(hopping));
}

/**
 * Windows of activity: one of a key ends when nothing came for the length of the gap.
 *
 * @example
 * stream.groupBy('user_id').window(session('30m'));
 */
export function session(gap: Duration): Window {
  const check = new DurationCheck();
  const gapMs = check.positive('the gap', gap);
  return check.window({ kind: 'session', gapMs }, captureCallSite(session));
}

/**
 * Slices of event time that one window is put together from, at most: each of its groups is looked
 * up in all of them when it closes.
 */
const panesPerWindowMax = 10_000;

/** Collects what is wrong with the durations of one call. */
export class DurationCheck {
  readonly mistakes: Mistake[] = [];

  /** Milliseconds; 1 in the place of what is wrong. */
  whole(what: string, duration: Duration): number {
    const ms = parseDurationMs(duration);
    if (ms !== null) return ms;
    const hint = "write '10s', '500ms', '2m', '1h', '1d' or a whole number of milliseconds";
    this.mistakes.push(mistake(`${what} is no duration: ${JSON.stringify(duration)}`, hint));
    return 1;
  }

  positive(what: string, duration: Duration): number {
    const ms = this.whole(what, duration);
    if (ms > 0) return ms;
    this.mistakes.push(mistake(`${what} must be more than zero`));
    return 1;
  }

  hop(sizeMs: number, hopMs: number): void {
    if (this.mistakes.length > 0) return;
    if (hopMs > sizeMs) {
      const hint = 'events between two windows would be lost: choose a hop of at most the size';
      this.mistakes.push(mistake(`the hop (${hopMs} ms) is longer than the window`, hint));
    }
    const panes = sizeMs / paneMs({ kind: 'hopping', sizeMs, hopMs, offsetMs: 0 });
    if (panes > panesPerWindowMax) {
      const hint = 'choose a longer hop, or one that has a larger divisor in common with the size';
      this.mistakes.push(mistake(`a window of ${sizeMs} ms would have ${panes} panes`, hint));
    }
  }

  window(spec: WindowSpec, site: CallSite): Window {
    return { spec, mistakes: placed(this.mistakes, site) };
  }
}
