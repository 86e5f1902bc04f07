// Locals of a generated function that mirror fields of a live object, such as a table's arrays:
// declared before the row loop, read again after what may have replaced the fields.

import type { CodeWriter } from './code.ts';

export class ReloadedLocals {
  readonly #prologue: CodeWriter;
  readonly #names = new Map<string, string>();

  constructor(prologue: CodeWriter) {
    this.#prologue = prologue;
  }

  /** The local for `code`; declare all before the first `reload`. */
  local(hint: string, code: string): string {
    let name = this.#names.get(code);
    if (name === undefined) {
      name = this.#prologue.fresh(hint);
      this.#prologue.line(`let ${name} = ${code};`);
      this.#names.set(code, name);
    }
    return name;
  }

  reload(writer: CodeWriter): void {
    for (const [code, name] of this.#names) writer.line(`${name} = ${code};`);
  }
}
