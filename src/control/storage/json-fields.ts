// Reads JSON that nobody vouches for: what a field must be, it is, or the error names its path.

import type { JsonValue } from '../../schema/data-type.ts';

/** A field that is not what it must be. Whoever reads a file catches it and names the file. */
export class FieldProblem extends Error {
  override name = 'FieldProblem';
  readonly field: string;

  constructor(field: string, expected: string) {
    super(`the field "${field}" is not ${expected}`);
    this.field = field;
  }
}

/** One JSON value and where it stands. */
export class JsonField {
  readonly path: string;
  readonly value: JsonValue;

  constructor(value: JsonValue, path = '') {
    this.value = value;
    this.path = path;
  }

  get(name: string): JsonField {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw this.problem('an object');
    }
    const path = this.path === '' ? name : `${this.path}.${name}`;
    const members = value as { readonly [name: string]: JsonValue };
    if (!Object.hasOwn(members, name)) throw new FieldProblem(path, 'there');
    return new JsonField(members[name] as JsonValue, path);
  }

  list<Item>(item: (field: JsonField) => Item): readonly Item[] {
    if (!Array.isArray(this.value)) throw this.problem('a list');
    return this.value.map((value: JsonValue, index) =>
      item(new JsonField(value, `${this.path}[${index}]`)),
    );
  }

  orNull<Item>(read: (field: JsonField) => Item): Item | null {
    return this.value === null ? null : read(this);
  }

  text(): string {
    if (typeof this.value !== 'string') throw this.problem('a text');
    return this.value;
  }

  /** A whole number from `min`. */
  whole(min = 0, max = Number.MAX_SAFE_INTEGER): number {
    const { value } = this;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) {
      return value;
    }
    throw this.problem(`a whole number from ${min}${max < 2 ** 53 - 1 ? ` to ${max}` : ''}`);
  }

  flag(): boolean {
    if (typeof this.value !== 'boolean') throw this.problem('true or false');
    return this.value;
  }

  oneOf<Text extends string>(...texts: readonly Text[]): Text {
    const found = texts.find((text) => text === this.value);
    if (found === undefined) throw this.problem(`one of ${texts.join(', ')}`);
    return found;
  }

  problem(expected: string): FieldProblem {
    return new FieldProblem(this.path === '' ? 'the whole' : this.path, expected);
  }
}
