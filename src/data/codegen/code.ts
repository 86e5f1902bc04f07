// How generated code is written: statements, fresh names, and what a value is inside it. A kernel's
// text is plain JavaScript; live objects it needs are handed in by name as its scope.

import type { DataType } from '../../schema/data-type.ts';

/**
 * A value of generated code: JavaScript expressions that are free of side effects and cheap to
 * repeat (locals and literals). `isNull` is null when the value cannot be null. Booleans are
 * JavaScript booleans, int64 are bigints, int32, float64 and timestamps are numbers; where
 * `isNull` holds, the rest is some value of its kind. A string or json value is the UTF-8 span
 * `bytes[start, end)`.
 */
export type CodeValue =
  | {
      readonly kind: 'scalar';
      readonly type: DataType;
      readonly code: string;
      readonly isNull: string | null;
    }
  | {
      readonly kind: 'span';
      readonly type: DataType;
      readonly bytes: string;
      readonly start: string;
      readonly end: string;
      readonly isNull: string | null;
    };

/** Collects the statements of one function and the objects that it closes over. */
export class CodeWriter {
  readonly scope: Map<string, unknown>;
  #lines: string[] = [];
  #indent = 0;
  readonly #names: Map<string, number>;

  constructor(parent?: CodeWriter) {
    this.scope = parent === undefined ? new Map() : parent.scope;
    this.#names = parent === undefined ? new Map() : parent.#names;
  }

  /** A name that is used nowhere else in the kernel: `hint`, then `hint_1`, `hint_2`, … */
  fresh(hint: string): string {
    const base = hint.replace(/[^A-Za-z0-9_$]/g, '_');
    let count = this.#names.get(base) ?? 0;
    let name = count === 0 ? base : `${base}_${count}`;
    while (count > 0 && this.#names.has(name)) name = `${base}_${++count}`;
    this.#names.set(base, count + 1);
    // A later hint may look just like this name.
    if (name !== base) this.#names.set(name, 1);
    return name;
  }

  /** Makes a live object reachable in the generated code and gives its name. */
  constant(hint: string, value: unknown): string {
    const name = this.fresh(hint);
    this.scope.set(name, value);
    return name;
  }

  line(text: string): void {
    this.#lines.push('  '.repeat(this.#indent) + text);
  }

  /** Writes `head {`, the body, `}`; a bare block without a head. */
  block(head: string, body: () => void): void {
    this.line(head === '' ? '{' : `${head} {`);
    this.#indent++;
    body();
    this.#indent--;
    this.line('}');
  }

  text(): string {
    return this.#lines.join('\n');
  }
}
