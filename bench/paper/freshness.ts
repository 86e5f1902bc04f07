// How old what is done is, by what the driver hears: when all workers had done a micro-batch, how
// long ago its trigger was.

import type { WorkerId } from '../../src/control/protocol/ids.ts';
import { workersIn } from '../../src/control/protocol/template.ts';
import type { Template } from '../../src/control/protocol/template.ts';
import type { DriverShellTrace } from '../../src/runtime/host/traces.ts';

/** When everybody had done another micro-batch, and how long ago that was triggered, ms. */
export type Age = { readonly atMs: number; readonly ageMs: number };

type Group = { readonly first: number; readonly count: number; readonly anchorMs: number };

export class Freshness {
  /** Committed so far. */
  checkpoints = 0;
  /** When the last recovery was ordered, ms; -Infinity: there was none. */
  recoveredMs = -Infinity;
  readonly #intervalMs: number;
  readonly #ages: Age[] = [];
  #groups: Group[] = [];
  #template: Template | null = null;
  readonly #done = new Map<WorkerId, number>();
  #least = -1;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  since(fromMs: number): readonly Age[] {
    return this.#ages.filter(({ atMs }) => atMs >= fromMs);
  }

  observe({ atMs, event, effect }: DriverShellTrace): void {
    if (event?.kind === 'message-received' && event.message.kind === 'report') {
      const { report } = event.message;
      if (report.version === this.#template?.version) {
        this.#onDone(atMs, { worker: event.from, through: report.doneThrough });
      }
    }
    if (effect?.kind === 'send-message') {
      const { message } = effect;
      if (message.kind === 'install-template') this.#place(message.template);
      if (message.kind === 'recover') this.#place(message.recovery.template);
    }
    if (effect?.kind !== 'trace') return;
    const { trace } = effect;
    if (trace.kind === 'group-permitted') this.#groups = [...this.#groups, trace].slice(-1_000);
    if (trace.kind === 'checkpointed') this.checkpoints++;
    if (trace.kind === 'recovered') this.recoveredMs = atMs;
  }

  /** The same order goes to every worker. */
  #place(template: Template): void {
    if (template.version === this.#template?.version) return;
    this.#template = template;
    this.#done.clear();
    this.#least = -1;
  }

  #onDone(atMs: number, { worker, through }: { worker: WorkerId; through: number }): void {
    this.#done.set(worker, through);
    const workers = workersIn(this.#template!);
    const least = Math.min(...workers.map((each) => this.#done.get(each) ?? -1));
    if (least <= this.#least) return;
    this.#least = least;
    const triggerMs = this.#triggerMs(least);
    if (triggerMs !== null) this.#ages.push({ atMs, ageMs: atMs - triggerMs });
  }

  /** By the last order that permits it; null: nobody knows any more. */
  #triggerMs(batch: number): number | null {
    const group = this.#groups.findLast(({ first, count }) => {
      return batch >= first && batch < first + count;
    });
    return group === undefined ? null : group.anchorMs + (batch - group.first) * this.#intervalMs;
  }
}
