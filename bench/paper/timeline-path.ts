// Why a micro-batch's output came when it did: from its last output back through whatever caused
// it, task by task and message by message, to its trigger. Machines act at once on what they are
// told, so that an order's cause is the last thing that its machine had been told.

import { assert } from '../../src/base/assert.ts';
import type { Mark, Node } from './timeline-record.ts';

export type Placed = { readonly node: Node; readonly index: number };

export type Path = {
  readonly batch: number;
  readonly triggerMs: number;
  readonly outputMs: number;
  /** From the output back. */
  readonly marks: readonly (Mark & { readonly node: Node })[];
  /** Messages from or to the driver on it. */
  readonly driverMessages: readonly string[];
  /** Messages from or to the driver that were heard meanwhile, beside it. */
  readonly beside: number;
};

export class Timeline {
  readonly #marks: ReadonlyMap<Node, readonly Mark[]>;
  /** What was heard first, second … by whom and from whom belongs to what was sent so. */
  readonly #sent = new Map<string, readonly number[]>();
  readonly #ordinals = new Map<string, number>();
  readonly #lastStage: number;

  constructor(marks: ReadonlyMap<Node, readonly Mark[]>) {
    this.#marks = marks;
    let lastStage = 0;
    for (const [node, own] of marks) {
      const sent = new Map<Node, number[]>();
      const heard = new Map<Node, number>();
      own.forEach((mark, index) => {
        if (mark.kind === 'run') lastStage = Math.max(lastStage, mark.stage);
        if (mark.kind === 'sent') {
          const indexes = sent.get(mark.other) ?? [];
          indexes.push(index);
          sent.set(mark.other, indexes);
        }
        if (mark.kind !== 'heard') return;
        const ordinal = heard.get(mark.other) ?? 0;
        heard.set(mark.other, ordinal + 1);
        this.#ordinals.set(`${node} ${index}`, ordinal);
      });
      for (const [to, indexes] of sent) this.#sent.set(`${node} ${to}`, indexes);
    }
    this.#lastStage = lastStage;
  }

  get nodes(): readonly Node[] {
    return [...this.#marks.keys()];
  }

  marksOf(node: Node): readonly Mark[] {
    return this.#marks.get(node)!;
  }

  /** Micro-batches whose every output is there, ascending. */
  batches(): readonly number[] {
    const found = new Set<number>();
    for (const own of this.#marks.values()) {
      for (const mark of own) if (mark.kind === 'run' && mark.stage === 0) found.add(mark.batch);
    }
    return [...found].sort((a, b) => a - b);
  }

  /** What made the mark happen; null for what no message and no task caused. */
  cause({ node, index }: Placed): Placed | null {
    const own = this.marksOf(node);
    const mark = own[index]!;
    switch (mark.kind) {
      case 'woken':
        return null;
      case 'heard': {
        const indexes = this.#sent.get(`${mark.other} ${node}`) ?? [];
        const sent = indexes[this.#ordinals.get(`${node} ${index}`)!];
        assert(sent !== undefined, 'what was heard was sent');
        return { node: mark.other, index: sent };
      }
      case 'ended':
        return this.#before({ node, index }, (earlier) => {
          return earlier.kind === 'run' && earlier.run === mark.run;
        });
      case 'visible':
        return this.#endOf({ node, index }, mark);
      case 'run':
      case 'sent':
        return this.#before({ node, index }, ({ kind }) => kind !== 'run' && kind !== 'sent');
    }
  }

  /** The end of the task whose output became visible. */
  #endOf(at: Placed, task: Extract<Mark, { kind: 'visible' }>): Placed | null {
    const run = this.#before(at, (mark) => {
      return (
        mark.kind === 'run' &&
        mark.stage === task.stage &&
        mark.partition === task.partition &&
        mark.batch === task.batch
      );
    });
    if (run === null) return null;
    const started = this.marksOf(at.node)[run.index]!;
    return this.#before(at, (mark) => {
      return mark.kind === 'ended' && started.kind === 'run' && mark.run === started.run;
    });
  }

  #before({ node, index }: Placed, matches: (mark: Mark) => boolean): Placed | null {
    const own = this.marksOf(node);
    for (let at = index - 1; at >= 0; at--) if (matches(own[at]!)) return { node, index: at };
    return null;
  }

  /** Planned trigger of a micro-batch, ms. */
  triggerMs(batch: number): number {
    let triggerMs = Infinity;
    for (const own of this.#marks.values()) {
      for (const mark of own) {
        if (mark.kind !== 'run' || mark.batch !== batch || mark.stage > 0) continue;
        triggerMs = Math.min(triggerMs, mark.triggerMs);
      }
    }
    return triggerMs;
  }

  path(batch: number): Path {
    const triggerMs = this.triggerMs(batch);
    const output = this.#lastOutput(batch);
    const outputMs = this.marksOf(output.node)[output.index]!.atMs;
    const marks: (Mark & { node: Node })[] = [];
    for (let at: Placed | null = output; at !== null; at = this.cause(at)) {
      const mark = this.marksOf(at.node)[at.index]!;
      // Before the trigger, or of a micro-batch before: no part of this one.
      if (mark.atMs < triggerMs) break;
      if ('batch' in mark && mark.batch !== null && mark.batch < batch) break;
      marks.push({ ...mark, node: at.node });
    }
    const driverMessages = marks.flatMap((mark) =>
      mark.kind === 'heard' && isDriverMessage(mark.node, mark.other) ? [mark.message] : [],
    );
    let all = 0;
    for (const [node, own] of this.#marks) {
      for (const mark of own) {
        if (mark.kind !== 'heard' || mark.atMs < triggerMs || mark.atMs > outputMs) continue;
        if (isDriverMessage(node, mark.other)) all++;
      }
    }
    const beside = all - driverMessages.length;
    return { batch, triggerMs, outputMs, marks, driverMessages, beside };
  }

  /** The last task of the last stage, or its rows' becoming visible. */
  #lastOutput(batch: number): Placed {
    let last: Placed | null = null;
    let lastMs = -Infinity;
    for (const [node, own] of this.#marks) {
      const runs = new Set<number>();
      own.forEach((mark, index) => {
        if (mark.kind === 'run' && mark.batch === batch && mark.stage === this.#lastStage) {
          runs.add(mark.run);
        }
        const ends = mark.kind === 'ended' && runs.has(mark.run);
        const shows = mark.kind === 'visible' && mark.batch === batch;
        if ((!ends && !shows) || mark.atMs <= lastMs) return;
        last = { node, index };
        lastMs = mark.atMs;
      });
    }
    assert(last !== null, `micro-batch ${batch} has an output`);
    return last;
  }
}

function isDriverMessage(node: Node, other: Node): boolean {
  return node === 'driver' || other === 'driver';
}
