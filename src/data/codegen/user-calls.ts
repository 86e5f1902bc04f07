// Calls of the user's functions from a kernel: which operator is calling, for errors, and the
// context that functions get. No `try` around a call: the executor asks `active` when one throws.

import type { FunctionId } from '../../expr/expr.ts';
import type { OperatorContext, UserFunction } from '../../plan/bindings.ts';
import type { OperatorId } from '../../plan/logical-plan.ts';
import { finishHash, hashSeed, mixHash } from '../shuffle/hash.ts';

export class UserCalls {
  /** The operator whose user function is running. */
  active: string | null = null;
  /** The row of the chunk or batch that a kernel is at; only kept by kernels that call. */
  row = 0;
  batchTimeMs = 0;
  /** Rows of the task that came after their last window was closed. */
  lateRows = 0;
  readonly #contexts: SeededContext[] = [];

  /** Before each task. */
  begin(task: {
    readonly batch: number;
    readonly partition: number;
    readonly part: number;
    readonly batchTimeMs: number;
  }): void {
    this.active = null;
    this.lateRows = 0;
    this.batchTimeMs = task.batchTimeMs;
    for (const context of this.#contexts) context.seed(task);
  }

  context(operator: OperatorId): OperatorContext {
    const context = new SeededContext(this, hashText(operator));
    this.#contexts.push(context);
    return context;
  }

  wrapAll(
    functions: ReadonlyMap<FunctionId, UserFunction>,
    operator: OperatorId,
  ): ReadonlyMap<FunctionId, UserFunction> {
    return new Map(Array.from(functions, ([id, fn]) => [id, this.wrap(fn, operator)]));
  }

  wrap(user: UserFunction, operator: string): UserFunction {
    switch (user.kind) {
      case 'scalar':
        return { kind: 'scalar', fn: this.#marked(user.fn, operator) };
      case 'map':
        return { kind: 'map', fn: this.#marked(user.fn, operator) };
      case 'flat-map': {
        // A generator's body runs while it is read: so it is read inside the mark.
        const { fn } = user;
        const all: typeof fn = (row, ctx) => {
          const rows = fn(row, ctx);
          return Array.isArray(rows) ? rows : Array.from(rows);
        };
        return { kind: 'flat-map', fn: this.#marked(all, operator) };
      }
      case 'aggregate': {
        const { init, add, merge, result } = user.aggregate;
        return {
          kind: 'aggregate',
          aggregate: {
            init: this.#marked(init, operator),
            add: this.#marked(add, operator),
            merge: this.#marked(merge, operator),
            result: this.#marked(result, operator),
          },
        };
      }
    }
  }

  #marked<A extends readonly unknown[], R>(
    fn: (...args: A) => R,
    operator: string,
  ): (...args: A) => R {
    return (...args) => {
      this.active = operator;
      const result = fn(...args);
      this.active = null;
      return result;
    };
  }
}

/** `ctx` of one operator: random numbers are the same on every replay of a micro-batch. */
class SeededContext implements OperatorContext {
  readonly #calls: UserCalls;
  readonly #operator: number;
  #state = 0;

  constructor(calls: UserCalls, operator: number) {
    this.#calls = calls;
    this.#operator = operator;
  }

  get batchTimeMs(): number {
    return this.#calls.batchTimeMs;
  }

  seed(task: { readonly batch: number; readonly partition: number; readonly part: number }): void {
    const place = mixHash(mixHash(this.#operator, task.batch), task.partition);
    this.#state = finishHash(task.part === 0 ? place : mixHash(place, task.part));
  }

  /** Mulberry32: a Weyl sequence through a mixer. Bound, so that users may take it apart. */
  readonly random = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function hashText(text: string): number {
  let hash = hashSeed;
  for (let index = 0; index < text.length; index++) hash = mixHash(hash, text.charCodeAt(index));
  return hash;
}
