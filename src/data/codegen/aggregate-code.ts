// Rows into a table of partials, in generated code: find or insert the group of (keys, pane) or of
// a session, then add to every accumulator. The table's arrays are locals, read again after an
// insert, which may have replaced them.

import type { AggregateSpec } from '../../plan/logical-plan.ts';
import { paneMs } from '../../plan/partials.ts';
import { finishHash, hashNumber, hashSeed, mixHash } from '../shuffle/hash.ts';
import { isDirect } from '../state/partial-table.ts';
import type { Dictionary, PartialTable } from '../state/partial-table.ts';
import { lastWindowEnd, paneLayout } from '../state/window-panes.ts';
import { AccumulatorCode } from './accumulator-code.ts';
import { named, scalar, spanArgs } from './code-values.ts';
import type { CodeValue, CodeWriter } from './code.ts';
import { appendCode } from './columns.ts';
import type { KernelContext, Place } from './kernel-context.ts';
import { keyHash, plainKey, valueHash } from './key-code.ts';
import { ReloadedLocals } from './reloaded-locals.ts';
import { spanEquals } from './span.ts';
import { hoisted } from './join-code.ts';

export type AggregateCode = {
  readonly aggregate: AggregateSpec;
  readonly table: PartialTable;
  /** Writes what happens to a row that is late, as one without event time always is. */
  readonly late: (at: Place) => void;
  /**
   * What `watermarkMs` is. `input`: the watermark before the micro-batch, rows are held against it.
   * `bound`: no consumer's watermark is beyond it, rows are judged by the consumer.
   */
  readonly watermark: 'input' | 'bound';
};

/** By key: the dictionary of its values, or null. */
export function keyDictionaries(aggregate: AggregateSpec, at: Place): (Dictionary | null)[] {
  const dictionaries = aggregate.keys.map(({ expr }) =>
    expr.kind === 'column' ? at.row.dictionary(expr.name) : null,
  );
  // Hashing a number is as quick as looking up its id; bytes are another matter.
  const isSmall = isDirect(aggregate, dictionaries);
  return dictionaries.map((dictionary) =>
    isSmall || dictionary?.values.kind === 'string' ? dictionary : null,
  );
}

/** Writes the adding of a row to the table. */
export function emitAggregate(context: KernelContext, code: AggregateCode, at: Place): void {
  new AggregateWriter(context, code, at).write();
}

type Key =
  | { readonly kind: 'value'; readonly value: CodeValue }
  | { readonly kind: 'id'; readonly id: string; readonly hashes: string };

class AggregateWriter {
  readonly #context: KernelContext;
  readonly #code: AggregateCode;
  readonly #at: Place;
  readonly #writer: CodeWriter;
  readonly #table: string;
  readonly #locals: ReloadedLocals;
  readonly #isDirect: boolean;

  constructor(context: KernelContext, code: AggregateCode, at: Place) {
    this.#context = context;
    this.#code = code;
    this.#at = at;
    this.#writer = at.writer;
    this.#table = context.share('table', code.table);
    this.#locals = new ReloadedLocals(context.prologue);
    const dictionaries = code.table.keys.map((key) =>
      key.kind === 'dictionary' ? key.dictionary : null,
    );
    this.#isDirect = isDirect(code.aggregate, dictionaries);
  }

  write(): void {
    const { aggregate } = this.#code;
    if (aggregate.time === null) {
      this.#addRow('0', null);
      return;
    }
    const time = scalar(this.#context.expression(aggregate.time, this.#at));
    if (time.isNull === null) return this.#window(time.code);
    this.#writer.block(`if (${time.isNull})`, () => this.#code.late(this.#at));
    this.#writer.block('else', () => this.#window(time.code));
  }

  #window(time: string): void {
    const { window } = this.#code.aggregate;
    switch (window.kind) {
      case 'global':
        return this.#addRow(time, null);
      case 'session':
        return this.#session(time, window.gapMs);
      case 'tumbling':
      case 'hopping':
        return this.#pane(time);
    }
  }

  /**
   * A row that may be late for its consumer stays a partial of its own: merged with later rows, it
   * would be saved by them.
   */
  #session(time: string, gapMs: number): void {
    const { late, aggregate, watermark } = this.#code;
    const closes = `${time} + ${gapMs + aggregate.allowedLatenessMs}`;
    const isLate = named(this.#writer, 'isLate', `${closes} <= watermarkMs`);
    const end = named(this.#writer, 'sessionEnd', `${time} + ${gapMs}`);
    if (watermark === 'bound') {
      const alone = named(this.#writer, 'alone', `${isLate} ? ${aloneHash} : 0`);
      return this.#addRow(time, { start: time, end, alone });
    }
    this.#writer.block(`if (${isLate})`, () => late(this.#at));
    this.#writer.block('else', () => this.#addRow(time, { start: time, end, alone: '0' }));
  }

  /** Rows come mostly in order of time: the pane of the last one is kept. */
  #pane(time: string): void {
    const { aggregate, late, watermark } = this.#code;
    const { window } = aggregate;
    if (window.kind === 'session') return;
    const layout = paneLayout(window);
    const hasGaps = layout.hopMs > layout.sizeMs;
    const { prologue } = this.#context;
    const size = paneMs(window);
    const { offsetMs } = layout;
    const start = letLocal(prologue, 'paneStart', 'NaN');
    const end = letLocal(prologue, 'paneEnd', 'NaN');
    const base = this.#isDirect ? letLocal(prologue, 'paneBase', '0') : null;
    const hash = this.#isDirect ? null : letLocal(prologue, 'paneHash', '0');
    // When the last window with the pane ends; -Infinity: it is in none.
    const judges = watermark === 'input' || hasGaps;
    const lastEnd = judges ? letLocal(prologue, 'lastEnd', '0') : null;
    const shifted = offsetMs === 0 ? time : `(${time} - ${offsetMs})`;
    const back = offsetMs === 0 ? '' : ` + ${offsetMs}`;
    this.#writer.block(`if (!(${time} >= ${start} && ${time} < ${end}))`, () => {
      this.#writer.line(`${start} = Math.floor(${shifted} / ${size}) * ${size}${back};`);
      this.#writer.line(`${end} = ${start} + ${size};`);
      if (base !== null) {
        this.#writer.line(`${base} = ${this.#table}.paneBase(${start});`);
        this.#writer.line(`${this.#direct()} = ${this.#table}.direct;`);
      }
      if (hash !== null) {
        const of = this.#context.share('paneHashOf', paneHashOf);
        this.#writer.line(`${hash} = ${of}(${start});`);
      }
      if (lastEnd !== null) {
        const endOf = this.#context.share('lastWindowEnd', lastWindowEnd);
        const name = this.#context.root.constant('paneLayout', layout);
        this.#writer.line(`${lastEnd} = ${endOf}(${name}, ${start});`);
      }
    });
    const add = (): void => {
      if (base !== null) this.#addDirect(time, base, start);
      else this.#addRow(time, { start, hash: hash! });
    };
    const judge = (): void => {
      if (watermark === 'bound') return add();
      const isLate = `${lastEnd} + ${aggregate.allowedLatenessMs} <= watermarkMs`;
      this.#writer.block(`if (${isLate})`, () => late(this.#at));
      this.#writer.block('else', add);
    };
    if (hasGaps) this.#writer.block(`if (${lastEnd} > ${start})`, judge);
    else judge();
  }

  #direct(): string {
    return this.#locals.local('direct', `${this.#table}.direct`);
  }

  #addDirect(time: string, base: string, start: string): void {
    const [key] = this.#keys();
    if (key === undefined || key.kind !== 'id') return;
    const slot = named(this.#writer, 'slot', `${base} + ${key.id}`);
    const group = this.#writer.fresh('group');
    this.#writer.line(`let ${group} = ${this.#direct()}[${slot}] - 1;`);
    this.#accumulate(group, time, () => {
      this.#writer.block(`if (${group} < 0)`, () => {
        const hash = keyHash(this.#context, this.#writer, [`${key.hashes}[${key.id}]`]);
        this.#writer.line(`${group} = ${this.#table}.insertDirect(${slot}, ${hash}, ${start});`);
        this.#appendKeys([key]);
        this.#locals.reload(this.#writer);
      });
    });
  }

  #addRow(time: string, span: Span | null): void {
    const keys = this.#keys();
    const hash = this.#keyHash(keys);
    const { writer } = this.#at;
    // A global window with one dictionary key is direct, too: its only pane starts at 0.
    if (this.#isDirect && span === null) {
      const base = hoisted(this.#context, 'paneBase', `${this.#table}.paneBase(0)`);
      return this.#addDirect(time, base, '0');
    }
    const twist = span === null ? '0' : 'hash' in span ? span.hash : span.alone;
    const slotHash = twist === '0' ? hash : named(writer, 'hash', `${hash} ^ ${twist}`);
    const group = writer.fresh('group');
    writer.line(`let ${group} = -1;`);
    this.#accumulate(group, time, () => {
      this.#probe({ group, slotHash, keys, span, hash });
      if (span !== null && 'end' in span) this.#extend(group, span);
    });
  }

  /**
   * Of sessions that the row meets the youngest: so it comes into none that is older than that of a
   * row of the same time before it, and ties stay in order of arrival.
   */
  #probe(probe: Probe): void {
    const writer = this.#writer;
    const { group, slotHash, keys, span, hash } = probe;
    const slots = this.#locals.local('slots', `${this.#table}.slots`);
    const mask = this.#locals.local('mask', `${this.#table}.mask`);
    const hashes = this.#locals.local('hashes', `${this.#table}.hashes`);
    const slot = writer.fresh('slot');
    const isSession = span !== null && 'end' in span;
    const head = `for (let ${slot} = ${slotHash} & ${mask}; ; ${slot} = (${slot} + 1) & ${mask})`;
    writer.block(head, () => {
      const found = isSession ? writer.fresh('found') : group;
      writer.line(`${isSession ? 'const ' : ''}${found} = ${slots}[${slot}] - 1;`);
      writer.block(`if (${found} < 0)`, () => {
        if (isSession) writer.line(`if (${group} >= 0) break;`);
        const start = span === null ? '0' : span.start;
        writer.line(`${group} = ${this.#table}.insert(${slotHash}, ${hash}, ${start});`);
        this.#appendKeys(keys);
        this.#locals.reload(writer);
        if (isSession) writer.line(`${this.#ends()}[${group}] = ${span.end};`);
        writer.line('break;');
      });
      const tests = [
        `${hashes}[${found}] === ${slotHash}`,
        ...this.#spanTests(found, span),
        ...keys.map((key, index) => this.#sameKey(key, index, found)),
      ];
      writer.line(`if (${tests.join(' && ')}) ${isSession ? `${group} = ${found}` : 'break'};`);
    });
  }

  #spanTests(group: string, span: Span | null): string[] {
    if (span === null) return [];
    if (!('end' in span)) return [`${this.#starts()}[${group}] === ${span.start}`];
    const meets = [
      `${span.start} < ${this.#ends()}[${group}]`,
      `${span.end} > ${this.#starts()}[${group}]`,
    ];
    return span.alone === '0' ? meets : [`${span.alone} === 0`, ...meets];
  }

  #extend(group: string, span: SessionSpan): void {
    const starts = this.#starts();
    const ends = this.#ends();
    this.#writer.line(
      `if (${span.start} < ${starts}[${group}]) ${starts}[${group}] = ${span.start};`,
    );
    this.#writer.line(`if (${span.end} > ${ends}[${group}]) ${ends}[${group}] = ${span.end};`);
  }

  #starts(): string {
    return this.#locals.local('starts', `${this.#table}.starts`);
  }

  #ends(): string {
    return this.#locals.local('ends', `${this.#table}.ends`);
  }

  /** `find` writes the finding of the group; the locals it needs must be declared by then. */
  #accumulate(group: string, time: string, find: () => void): void {
    const rows = this.#locals.local('rows', `${this.#table}.rows`);
    const { aggregate, table } = this.#code;
    const accumulators = aggregate.aggregates.map((call, index) => {
      const accumulator = table.accumulators[index]!;
      const name = `${this.#table}.accumulators[${index}]`;
      const site = { context: this.#context, locals: this.#locals, name, at: this.#at };
      return new AccumulatorCode(site, { call, accumulator });
    });
    for (const accumulator of accumulators) accumulator.declare();
    if (!this.#isDirect && aggregate.window.kind !== 'global') this.#starts();
    if (aggregate.window.kind === 'session') this.#ends();
    this.#declareKeys();
    find();
    this.#writer.line(`${rows}[${group}] += 1;`);
    for (const accumulator of accumulators) accumulator.add(group, time);
  }

  #keys(): Key[] {
    const { aggregate, table } = this.#code;
    return aggregate.keys.map(({ expr }, index): Key => {
      const column = table.keys[index]!;
      if (column.kind === 'dictionary' && expr.kind === 'column') {
        const id = this.#at.row.dictionaryId(expr.name, this.#writer);
        const { hashes } = column.dictionary;
        const name = hoisted(this.#context, 'idHashes', this.#context.share('hashesOfIds', hashes));
        return { kind: 'id', id, hashes: name };
      }
      const value = this.#context.expression(expr, this.#at);
      return { kind: 'value', value: plainKey(this.#writer, value) };
    });
  }

  #keyHash(keys: readonly Key[]): string {
    if (this.#isDirect) return '0';
    if (keys.length === 0) return String(finishHash(hashSeed));
    const parts = keys.map((key) =>
      key.kind === 'id' ? `${key.hashes}[${key.id}]` : valueHash(this.#context, key.value),
    );
    return keyHash(this.#context, this.#writer, parts);
  }

  #appendKeys(keys: readonly Key[]): void {
    keys.forEach((key, index) => {
      const column = `${this.#table}.keys[${index}]`;
      if (key.kind === 'id') this.#writer.line(`${column}.append(${key.id});`);
      else appendCode(this.#writer, column, key.value);
    });
  }

  #declareKeys(): void {
    if (this.#isDirect) {
      this.#direct();
      return;
    }
    this.#locals.local('slots', `${this.#table}.slots`);
    this.#locals.local('mask', `${this.#table}.mask`);
    this.#locals.local('hashes', `${this.#table}.hashes`);
    this.#code.table.keys.forEach((key, index) => {
      const column = `${this.#table}.keys[${index}]`;
      if (key.kind === 'dictionary') {
        this.#locals.local('ids', `${column}.ids`);
        return;
      }
      this.#locals.local('keyValid', `${column}.valid`);
      if (key.kind === 'string') {
        this.#locals.local('keyOffsets', `${column}.offsets`);
        this.#locals.local('keyBytes', `${column}.bytes`);
      } else {
        this.#locals.local('keyValues', `${column}.values`);
      }
    });
  }

  #sameKey(key: Key, index: number, group: string): string {
    const column = `${this.#table}.keys[${index}]`;
    if (key.kind === 'id')
      return `${this.#locals.local('ids', `${column}.ids`)}[${group}] === ${key.id}`;
    const { value } = key;
    const same = this.#sameValue(value, column, group);
    const valid = this.#locals.local('keyValid', `${column}.valid`);
    if (value.isNull === null) return same;
    return `(${value.isNull} ? ${valid}[${group}] === 0 : ${valid}[${group}] === 1 && ${same})`;
  }

  #sameValue(value: CodeValue, column: string, group: string): string {
    if (value.kind === 'span') {
      const offsets = this.#locals.local('keyOffsets', `${column}.offsets`);
      const bytes = this.#locals.local('keyBytes', `${column}.bytes`);
      const equals = this.#context.share('spanEquals', spanEquals);
      const held = `${bytes}, ${offsets}[${group}], ${offsets}[${group} + 1]`;
      return `${equals}(${spanArgs(value)}, ${held})`;
    }
    const held = `${this.#locals.local('keyValues', `${column}.values`)}[${group}]`;
    const { code } = value;
    if (value.type.kind === 'boolean') return `(${held} === 1) === ${code}`;
    if (value.type.kind !== 'float64') return `${held} === ${code}`;
    return `(${held} === ${code} || (${code} !== ${code} && ${held} !== ${held}))`;
  }
}

type Span = PaneSpan | SessionSpan;
type PaneSpan = { readonly start: string; readonly hash: string };
type SessionSpan = {
  readonly start: string;
  readonly end: string;
  /** Not 0 for a row that must not be merged; also keeps others from finding it. */
  readonly alone: string;
};

type Probe = {
  readonly group: string;
  readonly slotHash: string;
  readonly keys: readonly Key[];
  readonly span: Span | null;
  readonly hash: string;
};

/** Sets the groups of rows that stay alone apart from all others of their key. */
const aloneHash = 0x5bd1e995;

function paneHashOf(pane: number): number {
  return finishHash(mixHash(hashSeed, hashNumber(pane)));
}

function letLocal(writer: CodeWriter, hint: string, initial: string): string {
  const name = writer.fresh(hint);
  writer.line(`let ${name} = ${initial};`);
  return name;
}
