// The columns of a row inside a kernel: each is loaded or computed at its first use, in the block
// where that is, so that rows a filter drops cost no loads. A fork is the same row inside a block
// of its own: what is loaded there is not seen outside.

import { assert } from '../../base/assert.ts';
import type { Dictionary } from '../state/partial-table.ts';
import type { CodeValue, CodeWriter } from './code.ts';

export type RowColumn = {
  /** Writes the load; `row` is the row that the column is made of. */
  readonly load: (row: RowScope, writer: CodeWriter) => CodeValue;
  readonly dictionary: RowDictionary | null;
};

/** A column whose value is one of a few: its id, in place of the value. */
export type RowDictionary = {
  readonly dictionary: Dictionary;
  readonly id: (row: RowScope, writer: CodeWriter) => string;
};

export class RowScope {
  readonly #columns: ReadonlyMap<string, RowColumn>;
  readonly #parent: RowScope | null;
  readonly #values: Map<string, CodeValue>;
  readonly #ids: Map<string, string>;

  constructor(
    columns: ReadonlyMap<string, RowColumn>,
    parent: RowScope | null,
    values: Map<string, CodeValue> = new Map(),
    ids: Map<string, string> = new Map(),
  ) {
    this.#columns = columns;
    this.#parent = parent;
    this.#values = values;
    this.#ids = ids;
  }

  get names(): readonly string[] {
    return [...this.#columns.keys()];
  }

  /** The column's value, loaded by `writer` unless it is already. */
  value(name: string, writer: CodeWriter): CodeValue {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const value = this.#column(name).load(this.#parent ?? this, writer);
    this.#values.set(name, value);
    return value;
  }

  dictionary(name: string): Dictionary | null {
    return this.#column(name).dictionary?.dictionary ?? null;
  }

  dictionaryId(name: string, writer: CodeWriter): string {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const { dictionary } = this.#column(name);
    assert(dictionary !== null, `the column ${name} has a dictionary`);
    const id = dictionary.id(this.#parent ?? this, writer);
    this.#ids.set(name, id);
    return id;
  }

  /** The column as it is seen from a row made of this one. */
  passOn(name: string): RowColumn {
    const { dictionary } = this.#column(name);
    return {
      load: (row, writer) => row.value(name, writer),
      dictionary: dictionary && {
        dictionary: dictionary.dictionary,
        id: (row, writer) => row.dictionaryId(name, writer),
      },
    };
  }

  fork(): RowScope {
    const parent = this.#parent?.fork() ?? null;
    return new RowScope(this.#columns, parent, new Map(this.#values), new Map(this.#ids));
  }

  #column(name: string): RowColumn {
    const column = this.#columns.get(name);
    assert(column !== undefined, `the row has no column ${name}`);
    return column;
  }
}
