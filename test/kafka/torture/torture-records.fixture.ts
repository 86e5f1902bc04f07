// What the pipeline under torture reads, and what it must give, by a plain loop over the records
// that Kafka's own consumer finds in its input.

import type { JavaRecord } from '../committed-reader.fixture.ts';

export type TortureTopics = {
  readonly input: string;
  readonly copies: string;
  readonly windows: string;
  readonly totals: string;
};

export type Numbered = { readonly id: number; readonly key: string; readonly at: number };

export const inputPartitions = 4;
export const windowMs = 500;
export const totalMs = 1000;
const keysPerPartition = 5;
const startMs = 1_700_000_000_000;
/** Behind all others, so that it closes their windows. */
const endMs = startMs + 10_000_000;

/** The n-th record of a partition. A key is in one partition only. */
export function numberedOf(partition: number, n: number, recordsPerSecond: number): Numbered {
  const id = n * inputPartitions + partition;
  const key = `${partition}-${(id * 7) % keysPerPartition}`;
  return { id, key, at: startMs + Math.floor((id * 1000) / recordsPerSecond) };
}

export function endOf(partition: number): Numbered {
  return { id: 0, key: `${partition}-end`, at: endMs };
}

type Copy = Numbered & { readonly partition: number; readonly offset: number };
type Cell = { windows: number; records: number; ids: number };

/** Lines of what the windows must say. */
export type Truth = {
  readonly windows: ReadonlyMap<string, string>;
  readonly totals: ReadonlyMap<string, string>;
};

export function truthOf(records: readonly Numbered[]): Truth {
  const windows = new Map<string, Cell>();
  const totals = new Map<string, Cell>();
  for (const { id, key, at } of records) {
    const name = `${key}@${at - (at % windowMs)}`;
    const isNew = !windows.has(name);
    add(windows, name, { windows: 1, records: 1, ids: id });
    add(totals, `@${at - (at % totalMs)}`, { windows: isNew ? 1 : 0, records: 1, ids: id });
  }
  const lines = (cells: ReadonlyMap<string, Cell>, line: (cell: Cell) => string) =>
    new Map([...cells].map(([name, cell]) => [name, line(cell)]));
  return { windows: lines(windows, windowLine), totals: lines(totals, totalLine) };
}

function add(cells: Map<string, Cell>, name: string, more: Cell): void {
  const { windows, records, ids } = cells.get(name) ?? { windows: 0, records: 0, ids: 0 };
  const sums = { records: records + more.records, ids: ids + more.ids };
  cells.set(name, { windows: windows + more.windows, ...sums });
}

function windowLine({ records, ids }: Omit<Cell, 'windows'>): string {
  return `${records} records, ids ${ids}`;
}

function totalLine({ windows, records, ids }: Cell): string {
  return `${windows} windows, ${records} records, ids ${ids}`;
}

/** Everything that is wrong with the output, in words. */
export function wrongWith(
  records: readonly JavaRecord[],
  topics: TortureTopics,
): readonly string[] {
  const of = (topic: string): readonly JavaRecord[] =>
    records.filter((record) => record.topic === topic);
  const input = of(topics.input);
  const truth = truthOf(input.map((record) => JSON.parse(record.value!) as Numbered));
  return [
    ...wrongCopies(input, of(topics.copies)),
    ...wrongWindows(truth.windows, of(topics.windows)),
    ...wrongTotals(truth.totals, of(topics.totals)),
  ];
}

function wrongCopies(
  input: readonly JavaRecord[],
  copies: readonly JavaRecord[],
): readonly string[] {
  const wrong: string[] = [];
  const left = new Map(input.map((record) => [`${record.partition}/${record.offset}`, record]));
  /** By key, which offset came last: a key is in one partition of the input. */
  const last = new Map<string, number>();
  for (const copied of copies) {
    const copy = JSON.parse(copied.value!) as Copy;
    const place = `${copy.partition}/${copy.offset}`;
    const where = `${copied.partition}/${copied.offset} of the copies`;
    const record = left.get(place);
    left.delete(place);
    const { id, key, at } = JSON.parse(record?.value ?? '{}') as Partial<Numbered>;
    if (record === undefined) wrong.push(`record ${place} once more, at ${where}`);
    else if (id !== copy.id || key !== copy.key || at !== copy.at) {
      wrong.push(`record ${place} is ${record.value}, and ${copied.value} at ${where}`);
    }
    if ((last.get(copy.key) ?? -1) > copy.offset) {
      wrong.push(`record ${place} at ${where}, behind a later one of its key`);
    }
    last.set(copy.key, copy.offset);
    wrong.push(...misplaced(copied, copy.key));
  }
  return [...wrong, ...[...left.keys()].map((place) => `record ${place} has no copy`)];
}

type WindowRow = Omit<Cell, 'windows'> & { readonly key: string; readonly windowStart: number };

function wrongWindows(
  truth: ReadonlyMap<string, string>,
  found: readonly JavaRecord[],
): readonly string[] {
  const wrong: string[] = [];
  const left = new Map(truth);
  const last = new Map<string, number>();
  for (const record of found) {
    const row = JSON.parse(record.value!) as WindowRow;
    const { key, windowStart } = row;
    const name = `${key}@${windowStart}`;
    wrong.push(...unlike(left, name, windowLine(row)), ...misplaced(record, key));
    left.delete(name);
    if ((last.get(key) ?? -1) > windowStart) wrong.push(`window ${name} is behind a later one`);
    last.set(key, windowStart);
  }
  return [...wrong, ...[...left.keys()].map((name) => `window ${name} is missing`)];
}

function wrongTotals(
  truth: ReadonlyMap<string, string>,
  found: readonly JavaRecord[],
): readonly string[] {
  const wrong: string[] = [];
  const left = new Map(truth);
  for (const { value } of found) {
    const row = JSON.parse(value!) as Cell & { readonly windowStart: number };
    const name = `@${row.windowStart}`;
    wrong.push(...unlike(left, name, totalLine(row)));
    left.delete(name);
  }
  return [...wrong, ...[...left.keys()].map((name) => `total ${name} is missing`)];
}

function unlike(left: ReadonlyMap<string, string>, name: string, line: string): readonly string[] {
  const expected = left.get(name);
  if (expected === line) return [];
  return [`window ${name} says ${line}, and should ${expected ?? 'not be there (again)'}`];
}

function misplaced({ key, partition, chosen }: JavaRecord, expected: string): readonly string[] {
  if (key === expected && partition === chosen) return [];
  return [`a record of key ${expected} has the key ${key}, in ${partition}, not in ${chosen}`];
}
