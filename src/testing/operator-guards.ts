// Operators may not look at the clock or draw random numbers: what they give must follow from their
// input alone. While one of them runs, whoever does throws, with the place that did it.

import { captureCallSite } from '../base/call-site.ts';
import { StreamError } from '../base/stream-error.ts';
import type { FunctionId } from '../expr/expr.ts';
import type { UserFunction } from '../plan/bindings.ts';

type Functions = ReadonlyMap<FunctionId, UserFunction>;
type AnyFunction = (...args: never[]) => unknown;

export class OperatorGuards {
  /** The first thing that an operator did and must not; null: nothing. */
  violation: StreamError | null = null;

  /** The same functions, watched. */
  watch(functions: Functions): Functions {
    return new Map(Array.from(functions, ([id, user]) => [id, this.#watched(user)]));
  }

  #watched(user: UserFunction): UserFunction {
    switch (user.kind) {
      case 'scalar':
        return { kind: 'scalar', fn: this.#guarded(user.fn) };
      case 'map':
        return { kind: 'map', fn: this.#guarded(user.fn) };
      case 'flat-map':
        // A generator's body runs while it is read.
        return { kind: 'flat-map', fn: this.#guarded((row, ctx) => [...user.fn(row, ctx)]) };
      case 'aggregate': {
        const { init, add, merge, result } = user.aggregate;
        return {
          kind: 'aggregate',
          aggregate: {
            init: this.#guarded(init),
            add: this.#guarded(add),
            merge: this.#guarded(merge),
            result: this.#guarded(result),
          },
        };
      }
    }
  }

  #guarded<Fn extends AnyFunction>(fn: Fn): Fn {
    const guarded = (...args: never[]): unknown => {
      const restore = this.#forbid();
      try {
        return fn(...args);
      } finally {
        restore();
      }
    };
    return guarded as Fn;
  }

  /** Until the function that it gives is called. */
  #forbid(): () => void {
    const realDate = globalThis.Date;
    const { random } = Math;
    const { now } = performance;
    const forbidden = (name: string, hint: string) => {
      const refuse = (): never => this.#refuse(name, hint, refuse);
      return refuse;
    };
    const refuseDate = forbidden('Date.now()', timeHint);
    globalThis.Date = new Proxy(realDate, {
      get: (target, key) => (key === 'now' ? refuseDate : (Reflect.get(target, key) as unknown)),
      apply: () => refuseDate(),
      construct: (target, args: unknown[]) => {
        if (args.length > 0) return Reflect.construct(target, args) as Date;
        return this.#refuse('new Date()', timeHint, null);
      },
    });
    Math.random = forbidden('Math.random()', randomHint);
    performance.now = forbidden('performance.now()', timeHint);
    return () => {
      globalThis.Date = realDate;
      Math.random = random;
      performance.now = now;
    };
  }

  #refuse(name: string, hint: string, callee: AnyFunction | null): never {
    const site = callee === null ? placeOfOperator() : captureCallSite(callee).toString();
    const message = `an operator called ${name} at ${site}`;
    const error = new StreamError({ code: 'not-deterministic', message, hint, fields: { site } });
    this.violation ??= error;
    throw error;
  }
}

const timeHint = 'use ctx.batchTimeMs, which is the same when the micro-batch is run again';
const randomHint = 'use ctx.random(), which is the same when the micro-batch is run again';

/** The first frame outside of this file: a proxy's traps have no callee to leave out. */
function placeOfOperator(): string {
  const frames = new Error('here').stack?.split('\n').slice(1) ?? [];
  const outer = frames.find((frame) => !frame.includes('operator-guards'));
  return outer?.trim().replace(/^at /, '') ?? 'unknown place';
}
