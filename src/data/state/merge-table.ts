// What a merging task of a tree holds for the length of one task: the partials of its producers,
// merged by pane, for an aggregate without keys. Partials fold in the order in which they come, so
// what leaves is a function of what came: a sum of doubles may differ in its last digits from a
// sum without the tree, never from itself.

import type { AggregateSpec } from '../../plan/logical-plan.ts';
import { partialSchema } from '../../plan/partials.ts';
import { assert } from '../../base/assert.ts';
import type { RowSchema } from '../../schema/data-type.ts';
import type { Batch, Vector } from '../columnar/batch.ts';
import type { Accumulator } from './accumulator.ts';
import { foldPartials } from './fold-partials.ts';

const initialCapacity = 16;

export class MergeTable {
  readonly #schema: RowSchema;
  readonly #isGlobal: boolean;
  readonly #accumulators: readonly Accumulator[];
  /** Group of a pane, in order of first sight. */
  readonly #groups = new Map<number, number>();
  /** By group: input rows behind it. */
  readonly #rows: number[] = [];
  #capacity = initialCapacity;

  constructor(aggregate: AggregateSpec, accumulators: readonly Accumulator[]) {
    assert(aggregate.keys.length === 0, 'groups with keys meet in the partition of their key');
    assert(aggregate.window.kind !== 'session', 'parts of sessions are merged where all are');
    this.#schema = partialSchema(aggregate);
    this.#isGlobal = aggregate.window.kind === 'global';
    this.#accumulators = accumulators;
    for (const accumulator of accumulators) accumulator.grow(initialCapacity);
  }

  get count(): number {
    return this.#groups.size;
  }

  fold({ rowCount, vectors }: Batch): void {
    const panes = this.#isGlobal ? null : numbersOf(vectors[0]!);
    const at = this.#isGlobal ? 0 : 1;
    const counts = numbersOf(vectors[at]!);
    const rows = new Int32Array(rowCount);
    const groups = new Int32Array(rowCount);
    for (let row = 0; row < rowCount; row++) {
      const group = this.#group(panes === null ? 0 : panes[row]!);
      rows[row] = row;
      groups[row] = group;
      this.#rows[group]! += counts[row]!;
    }
    foldPartials(this.#accumulators, vectors.slice(at + 1), { rows, groups });
  }

  /** All there is, for the one consumer; the table keeps it. */
  flush(): readonly Batch[] {
    const groups = Int32Array.from({ length: this.count }, (_, group) => group);
    const vectors: Vector[] = this.#isGlobal ? [] : [numbers(this.#groups.keys())];
    vectors.push(numbers(this.#rows));
    for (const accumulator of this.#accumulators) vectors.push(...accumulator.partials(groups));
    return [{ schema: this.#schema, rowCount: groups.length, vectors }];
  }

  clear(): void {
    for (const accumulator of this.#accumulators) accumulator.clear(this.count);
    this.#groups.clear();
    this.#rows.length = 0;
  }

  #group(pane: number): number {
    const known = this.#groups.get(pane);
    if (known !== undefined) return known;
    const group = this.count;
    if (group === this.#capacity) {
      this.#capacity *= 2;
      for (const accumulator of this.#accumulators) accumulator.grow(this.#capacity);
    }
    this.#groups.set(pane, group);
    this.#rows.push(0);
    return group;
  }
}

function numbersOf(vector: Vector): Float64Array {
  assert(vector.kind === 'number', 'panes and row counts are numbers');
  return vector.values;
}

function numbers(values: Iterable<number>): Vector {
  return { kind: 'number', values: Float64Array.from(values), valid: null };
}
