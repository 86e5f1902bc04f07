// Generates the WebAssembly of a JSON scan. It follows the edges of a learned layout: an edge is the
// exact text between two values (`,"ad_id":"`), compared 16 bytes at a time, and what to do with the
// value behind it. Each value is checked as strictly as `JSON.parse` does. Where no edge fits, or a
// value is not plain, it stops at the record's start and leaves the record to `JsonReader`.

import { assert } from '../../base/assert.ts';
import type { Field } from '../../schema/data-type.ts';
import type { PathTree } from './field-paths.ts';
import type { ColumnPlace, ValueForm } from './scan-columns.ts';
import { type ScanSpec, scanChunkRows } from './scanner.ts';

/** Where things are in the scan's memory. */
export const scanMemory = {
  /** Results of a call: row, records, timeMax, floats to be read. */
  row: 0,
  records: 4,
  timeMax: 8,
  floatCount: 16,
  /** 17 shuffles, each of which moves n leading bytes to the end of the vector. */
  alignments: 64,
  integerPowers: 336,
  floatPowers: 480,
  edges: 640,
  edgesEnd: 66_176,
  /** Floats that need more than a division: row, field, start, end. */
  floats: 66_176,
  columns: 131_712,
} as const;

/** Floats that wait for a correct rounding; the scan pauses when they might not fit. */
const floatCountMax = 4096;

/** Offsets in an edge; behind the first come further pairs of 16 bytes and their mask. */
export const edgePlace = {
  length: 0,
  action: 4,
  next: 8,
  alternative: 12,
  seen: 16,
  extraPairs: 24,
  text: 32,
  mask: 48,
  extra: 64,
} as const;

export type ScanExports = {
  /** Gives where it stopped: at `limit`, or at the start of a record that it leaves to others. */
  scan(p: number, limit: number, row: number, shift: number, timeEnd: number): number;
};

export type ScanText = {
  readonly source: string;
  /** Index of the action for a value: `end`, `skip:string`, `skip:value`, `2:number`, … */
  readonly actions: ReadonlyMap<string, number>;
};

/** Whether the spec's paths can be followed by edges; otherwise `JsonReader` reads all records. */
export function hasEdges(tree: PathTree): boolean {
  if (tree.nodes.length > 64) return false;
  return tree.nodes.every(
    ({ fields, children }) => fields.length <= 1 && (fields.length === 0 || children.length === 0),
  );
}

/** The bit of a wanted member in a record's set of seen members. */
export function seenBit(node: number): bigint {
  return 1n << BigInt(node - 1);
}

export function scanText(spec: ScanSpec, tree: PathTree, places: readonly ColumnPlace[]): ScanText {
  const actions = new Map<string, string>([
    ['bail', bailCode],
    ['end', endCode(spec, tree)],
    ['skip:string', `${stringCode} ${advance(1)} (br $ok)`],
    ['skip:value', `${skipCode} (br $ok)`],
    ['skip:null', '(br $ok)'],
  ]);
  for (const [index, field] of spec.fields.entries()) {
    for (const [form, code] of fieldActions(spec, index, places[index]!)) {
      actions.set(`${index}:${form}`, `;; ${field.name} as ${form}\n${code} (br $ok)`);
    }
  }
  const codes = [...actions.values()];
  const names = codes.map((_, index) => `$a${index}`);
  const dispatch = `
    (block $a0
      ${matchCode}
      (br_table ${names.join(' ')} (i32.load offset=${edgePlace.action} (local.get $edge))))`;
  let body = `${dispatch}\n${codes[0]}`;
  for (let i = 1; i < codes.length; i += 1) body = `(block ${names[i]} ${body})\n${codes[i]}`;
  const source = `
(func $scan (export "scan")
  (param $p i32) (param $limit i32) (param $row i32) (param $shift i32) (param $timeEnd f64)
  (result i32)
  (local $q i32) (local $from i32) (local $start i32) (local $edge i32) (local $extra i32)
  (local $seen i64) (local $drop i32) (local $time f64) (local $timeMax f64) (local $records i32)
  (local $v v128) (local $hits i32) (local $count i32) (local $value i64) (local $more i64)
  (local $minus i32) (local $digit i32) (local $whole i32) (local $float f64)
  (local $floats i32) (local $floatsKept i32)
  (local.set $timeMax (f64.const -inf))
  (loop $records
    (loop $blank
      (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 10))
        (then (local.set $p (i32.add (local.get $p) (i32.const 1))) (br $blank))))
    (local.set $start (local.get $p))
    (local.set $floats (local.get $floatsKept))
    (if (i32.or
        (i32.or
          (i32.ge_u (local.get $p) (local.get $limit))
          (i32.ge_u (local.get $row) (i32.const ${scanChunkRows})))
        (i32.gt_u (local.get $floats) (i32.const ${floatCountMax - 64})))
      (then ${bailCode}))
    (local.set $seen (i64.const 0))
    (local.set $drop (i32.const 0))
    (local.set $time (f64.const -inf))
    ${spec.fields.map((field, index) => clearCode(field, places[index]!)).join('\n')}
    (local.set $edge (i32.load (i32.const ${scanMemory.edges})))
    (loop $edges
      (block $miss
        (block $ok
          ${body})
        (local.set $seen
          (i64.or (local.get $seen) (i64.load offset=${edgePlace.seen} (local.get $edge))))
        (local.set $p (local.get $q))
        (local.set $edge (i32.load offset=${edgePlace.next} (local.get $edge)))
        (br $edges))
      (local.set $edge (i32.load offset=${edgePlace.alternative} (local.get $edge)))
      (br $edges)))
  (i32.const 0))`;
  const indices = new Map([...actions.keys()].map((key, index) => [key, index]));
  return { source: indented(source), actions: indices };
}

/** The text with each line indented by the parentheses that are open at its start. */
function indented(source: string): string {
  let depth = 0;
  const lines: string[] = [];
  for (const line of source.split('\n').map((each) => each.trim())) {
    if (line === '') continue;
    lines.push(`${'  '.repeat(depth)}${line}`);
    const code = line.replace(/;;.*$/, '');
    depth += code.split('(').length - code.split(')').length;
  }
  return lines.join('\n');
}

const bailCode = `
  (i32.store (i32.const ${scanMemory.row}) (local.get $row))
  (i32.store (i32.const ${scanMemory.records}) (local.get $records))
  (f64.store (i32.const ${scanMemory.timeMax}) (local.get $timeMax))
  (i32.store (i32.const ${scanMemory.floatCount}) (local.get $floatsKept))
  (return (local.get $start))`;

/** Compares the edge's text; a wanted member that comes twice is left to the reader. */
const matchCode = `
  (br_if $miss (v128.any_true (v128.and
    (v128.xor (v128.load (local.get $p)) (v128.load offset=${edgePlace.text} (local.get $edge)))
    (v128.load offset=${edgePlace.mask} (local.get $edge)))))
  (local.set $q (local.get $p))
  (local.set $extra (i32.load offset=${edgePlace.extraPairs} (local.get $edge)))
  (if (local.get $extra) (then
    (local.set $from (local.get $edge))
    (loop $pair
      (local.set $q (i32.add (local.get $q) (i32.const 16)))
      (br_if $miss (v128.any_true (v128.and
        (v128.xor (v128.load (local.get $q))
          (v128.load offset=${edgePlace.extra} (local.get $from)))
        (v128.load offset=${edgePlace.extra + 16} (local.get $from)))))
      (local.set $from (i32.add (local.get $from) (i32.const 32)))
      (br_if $pair
        (local.tee $extra (i32.sub (local.get $extra) (i32.const 1)))))))
  (local.set $q
    (i32.add (local.get $p) (i32.load offset=${edgePlace.length} (local.get $edge))))
  (br_if $a0 (i32.eqz (i64.eqz (i64.and
    (local.get $seen) (i64.load offset=${edgePlace.seen} (local.get $edge))))))`;

function splat(byte: number): string {
  return `(v128.const i8x16 ${Array(16).fill(byte).join(' ')})`;
}

function advance(bytes: number): string {
  return `(local.set $q (i32.add (local.get $q) (i32.const ${bytes})))`;
}

function vectorOf(even: number, odd: number): string {
  return `(v128.const i16x8 ${Array(4).fill(`${even} ${odd}`).join(' ')})`;
}

/** From a string's first byte at $q to its end quote. A signed compare also finds bytes over 127. */
const stringLoop = `
  (loop $string
    (local.set $hits (i8x16.bitmask (v128.or
      (i8x16.lt_s (local.tee $v (v128.load (local.get $q))) ${splat(0x20)})
      (v128.or
        (i8x16.eq (local.get $v) ${splat(0x22)})
        (i8x16.eq (local.get $v) ${splat(0x5c)})))))
    (if (i32.eqz (local.get $hits)) (then ${advance(16)} (br $string))))
  (local.set $q (i32.add (local.get $q) (i32.ctz (local.get $hits))))`;

const isNoQuote = `(i32.ne (i32.load8_u (local.get $q)) (i32.const 0x22))`;

const stringCode = `${stringLoop}
  (if ${isNoQuote} (then
    (local.set $q (call $stringRest (local.get $q)))
    (br_if $miss (i32.eqz (local.get $q)))))`;

/** As `stringCode`, but a string with escapes is a miss: the reader unescapes it. */
const plainStringCode = `${stringLoop}
  (if ${isNoQuote} (then
    (global.set $escaped (i32.const 0))
    (local.set $q (call $stringRest (local.get $q)))
    (br_if $miss (i32.or (i32.eqz (local.get $q)) (global.get $escaped)))))`;

const skipCode = `
  (local.set $q (call $skipValue (local.get $q)))
  (br_if $miss (i32.eqz (local.get $q)))`;

/** Up to 16 digits at $q: their count to $count, their value to $value; $q stays. */
const digitsCode = `
  (local.set $v (i8x16.sub (v128.load (local.get $q)) ${splat(0x30)}))
  (local.set $count (i32.ctz (i32.xor
    (i8x16.bitmask (i8x16.lt_u (local.get $v) ${splat(10)})) (i32.const 0x1ffff))))
  (local.set $v (i8x16.swizzle (local.get $v)
    (v128.load offset=${scanMemory.alignments} (i32.shl (local.get $count) (i32.const 4)))))
  (local.set $v (i32x4.dot_i16x8_s
    (i16x8.add
      (i16x8.mul (v128.and (local.get $v) ${vectorOf(255, 255)}) ${vectorOf(10, 10)})
      (i16x8.shr_u (local.get $v) (i32.const 8)))
    ${vectorOf(100, 1)}))
  (local.set $v (i32x4.dot_i16x8_s
    (i16x8.narrow_i32x4_u (local.get $v) (local.get $v)) ${vectorOf(10_000, 1)}))
  (local.set $value (i64.add
    (i64.mul
      (i64.extend_i32_u (i32x4.extract_lane 0 (local.get $v))) (i64.const 100000000))
    (i64.extend_i32_u (i32x4.extract_lane 1 (local.get $v)))))`;

const minusCode = `
  (local.set $minus (i32.eq (i32.load8_u (local.get $q)) (i32.const 0x2d)))
  (local.set $q (i32.add (local.get $q) (local.get $minus)))`;

const isEmpty = `(i32.eqz (local.get $count))`;
const hasLeadingZero = `(i32.and
  (i32.eq (i32.load8_u (local.get $q)) (i32.const 0x30))
  (i32.gt_u (local.get $count) (i32.const 1)))`;
const passDigits = `(local.set $q (i32.add (local.get $q) (local.get $count)))`;

/** Digits behind the first 16, up to 19: so many always fit 64 bits unsigned. */
const moreDigitsCode = `
  (if (i32.eq (local.get $count) (i32.const 16)) (then
    (loop $more
      (local.set $digit (i32.sub (i32.load8_u (local.get $q)) (i32.const 0x30)))
      (if (i32.lt_u (local.get $digit) (i32.const 10)) (then
        (br_if $miss (i32.eq (local.get $count) (i32.const 19)))
        (local.set $value (i64.add
          (i64.mul (local.get $value) (i64.const 10)) (i64.extend_i32_u (local.get $digit))))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        ${advance(1)}
        (br $more))))))`;

const missUnlessQuote = `(br_if $miss ${isNoQuote}) ${advance(1)}`;

function clearCode(field: Field, place: ColumnPlace): string {
  if (!field.nullable) return '';
  const clear = `(i32.store8 offset=${place.valid} (local.get $row) (i32.const 0))`;
  switch (field.type.kind) {
    case 'boolean':
      return `${clear} (i32.store8 offset=${place.values} (local.get $row) (i32.const 0))`;
    case 'int32':
      return `${clear} (i32.store offset=${place.values} ${rowTimes(4)} (i32.const 0))`;
    case 'string':
    case 'json':
      return `${clear} (i32.store offset=${place.values} ${rowTimes(4)} (i32.const 0))
        (i32.store offset=${place.ends} ${rowTimes(4)} (i32.const 0))`;
    default:
      return `${clear} (i64.store offset=${place.values} ${rowTimes(8)} (i64.const 0))`;
  }
}

function rowTimes(bytes: 4 | 8): string {
  return `(i32.shl (local.get $row) (i32.const ${bytes === 4 ? 2 : 3}))`;
}

function fieldActions(
  spec: ScanSpec,
  index: number,
  place: ColumnPlace,
): readonly (readonly [form: string, code: string])[] {
  const field = spec.fields[index]!;
  const set = field.nullable
    ? `(i32.store8 offset=${place.valid} (local.get $row) (i32.const 1))`
    : '';
  const isCompared = spec.equals.some((equal) => equal.field === index);
  const nullAction = ['null', isCompared ? '(local.set $drop (i32.const 1))' : ''] as const;
  const actions = valueActions(spec, index, place).map(
    ([form, code]) => [form, `${code} ${set}`] as const,
  );
  return field.nullable ? [...actions, nullAction] : actions;
}

function valueActions(
  spec: ScanSpec,
  index: number,
  place: ColumnPlace,
): readonly (readonly [form: ValueForm, code: string])[] {
  const { type } = spec.fields[index]!;
  switch (type.kind) {
    case 'boolean':
      return [
        ['true', `(i32.store8 offset=${place.values} (local.get $row) (i32.const 1))`],
        ['false', `(i32.store8 offset=${place.values} (local.get $row) (i32.const 0))`],
      ];
    case 'int32':
      return [['number', int32Code(place)]];
    case 'int64':
      return [
        ['number', int64Code(place, { isQuoted: false })],
        ['string', int64Code(place, { isQuoted: true })],
      ];
    case 'float64':
      return [['number', float64Code(index, place)]];
    case 'timestamp': {
      const isEventTime = index === spec.timeField;
      const store = storeTime(place, isEventTime);
      const number = timeDigits(type.encoding);
      const quoted = `${number} (br_if $other ${isNoQuote}) ${advance(1)}`;
      const iso = `
        (local.set $value (call $isoTime (local.get $q)))
        (br_if $miss (i64.eqz (i64.shr_u (local.get $value) (i64.const 63))))
        (local.set $q (global.get $isoEnd))
        (local.set $value (i64.and (local.get $value) (i64.const 0x7fffffffffffffff)))`;
      const text =
        type.encoding === 'iso'
          ? iso
          : type.encoding === 'auto'
            ? `(local.set $from (local.get $q))
               (block $done
                 (block $other ${quoted} (br $done))
                 (local.set $q (local.get $from))
                 ${iso})`
            : `${quoted.replaceAll('$other', '$miss')}`;
      const plain = `
        (br_if $miss (i32.and
          (i32.eq (i32.load8_u (local.get $q)) (i32.const 0x30))
          (i32.lt_u
            (i32.sub (i32.load8_u offset=1 (local.get $q)) (i32.const 0x30)) (i32.const 10))))
        ${number.replaceAll('$other', '$miss')}`;
      const textAction = ['string', `${text} ${store}`] as const;
      return type.encoding === 'iso' ? [textAction] : [textAction, ['number', `${plain} ${store}`]];
    }
    case 'string':
      return [['string', textCode(spec, index, place)]];
    case 'json': {
      const string = `
        (local.set $from (i32.sub (local.get $q) (i32.const 1)))
        ${stringCode} ${advance(1)} ${storeSpan(place)}`;
      // A word null is no value of the column: it belongs to an edge of its own.
      const value = `(br_if $miss (i32.eq (i32.load8_u (local.get $q)) (i32.const 0x6e)))
        (local.set $from (local.get $q)) ${skipCode} ${storeSpan(place)}`;
      const forms = ['number', 'true', 'false', 'nested'] as const;
      return [['string', string] as const, ...forms.map((form) => [form, value] as const)];
    }
  }
}

function storeSpan(place: ColumnPlace): string {
  return `
    (i32.store offset=${place.values} ${rowTimes(4)}
      (i32.add (local.get $from) (local.get $shift)))
    (i32.store offset=${place.ends} ${rowTimes(4)} (i32.add (local.get $q) (local.get $shift)))`;
}

function textCode(spec: ScanSpec, index: number, place: ColumnPlace): string {
  const compare = spec.equals
    .filter(({ field }) => field === index)
    .map(({ value }) => compareCode(new TextEncoder().encode(value)));
  return `
    (local.set $from (local.get $q))
    ${plainStringCode}
    ${storeSpan(place)}
    ${compare.join('\n')}
    ${advance(1)}`;
}

/** Drops the record unless the string [$from, $q) is these bytes. */
function compareCode(bytes: Uint8Array): string {
  const length = `(i32.ne
    (i32.sub (local.get $q) (local.get $from)) (i32.const ${bytes.length}))`;
  const blocks: string[] = [];
  for (let offset = 0; offset < bytes.length; offset += 16) {
    const block = Array.from({ length: 16 }, (_, i) => bytes[offset + i] ?? 0);
    const mask = block.map((_, i) => (offset + i < bytes.length ? 255 : 0));
    blocks.push(`(v128.any_true (v128.and
      (v128.xor (v128.load offset=${offset} (local.get $from))
        (v128.const i8x16 ${block.join(' ')}))
      (v128.const i8x16 ${mask.join(' ')})))`);
  }
  // Unlike the length, which varies in most data, the blocks are loaded only if it fits: a short
  // string at the end of memory has no bytes behind it.
  const differs = blocks.reduce((all, block) => `(i32.or ${all} ${block})`, '(i32.const 0)');
  return `
    (if ${length}
      (then (local.set $drop (i32.const 1)))
      (else (local.set $drop (i32.or (local.get $drop) ${differs}))))`;
}

function int32Code(place: ColumnPlace): string {
  return `${minusCode} ${digitsCode}
    (br_if $miss (i32.or ${isEmpty} ${hasLeadingZero}))
    (br_if $miss (i64.gt_u (local.get $value)
      (i64.add (i64.const 2147483647) (i64.extend_i32_u (local.get $minus)))))
    ${passDigits}
    (local.set $digit (i32.wrap_i64 (local.get $value)))
    (i32.store offset=${place.values} ${rowTimes(4)} (select
      (i32.sub (i32.const 0) (local.get $digit)) (local.get $digit) (local.get $minus)))`;
}

function int64Code(place: ColumnPlace, style: { readonly isQuoted: boolean }): string {
  return `${minusCode} ${digitsCode}
    (br_if $miss ${style.isQuoted ? isEmpty : `(i32.or ${isEmpty} ${hasLeadingZero})`})
    ${passDigits} ${moreDigitsCode}
    (br_if $miss (i64.gt_u (local.get $value)
      (i64.add (i64.const 9223372036854775807) (i64.extend_i32_u (local.get $minus)))))
    ${style.isQuoted ? missUnlessQuote : ''}
    (i64.store offset=${place.values} ${rowTimes(8)} (select
      (i64.sub (i64.const 0) (local.get $value)) (local.get $value) (local.get $minus)))`;
}

/** Clinger's exact case: an integer below 2^53 divided by a power of ten is rounded once. */
function float64Code(index: number, place: ColumnPlace): string {
  const entry = `(i32.add (i32.const ${scanMemory.floats})
    (i32.shl (local.get $floats) (i32.const 4)))`;
  return `(local.set $from (local.get $q))
    (block $done
      (block $slow
        ${minusCode} ${digitsCode}
        (br_if $miss (i32.or ${isEmpty} ${hasLeadingZero}))
        ${passDigits}
        (local.set $more (local.get $value))
        (local.set $whole (local.get $count))
        (local.set $count (i32.const 0))
        (if (i32.eq (i32.load8_u (local.get $q)) (i32.const 0x2e)) (then
          ${advance(1)} ${digitsCode}
          (br_if $miss ${isEmpty})
          ${passDigits}
          (br_if $slow (i32.gt_u
            (i32.add (local.get $whole) (local.get $count)) (i32.const 18)))
          (local.set $more (i64.add (local.get $value) (i64.mul (local.get $more)
            (i64.load offset=${scanMemory.integerPowers}
              (i32.shl (local.get $count) (i32.const 3))))))))
        (br_if $slow (i64.gt_u (local.get $more) (i64.const 0x20000000000000)))
        (local.set $digit (i32.load8_u (local.get $q)))
        (br_if $slow (i32.lt_u
          (i32.sub (local.get $digit) (i32.const 0x30)) (i32.const 10)))
        (br_if $slow (i32.eq (i32.or (local.get $digit) (i32.const 0x20)) (i32.const 0x65)))
        (local.set $float (f64.div (f64.convert_i64_u (local.get $more))
          (f64.load offset=${scanMemory.floatPowers} (i32.shl (local.get $count) (i32.const 3)))))
        (if (local.get $minus) (then (local.set $float (f64.neg (local.get $float)))))
        (f64.store offset=${place.values} ${rowTimes(8)} (local.get $float))
        (br $done))
      (local.set $q (call $numberEnd (local.get $from)))
      (br_if $miss (i32.eqz (local.get $q)))
      (i32.store ${entry} (local.get $row))
      (i32.store offset=4 ${entry} (i32.const ${index}))
      (i32.store offset=8 ${entry} (local.get $from))
      (i32.store offset=12 ${entry} (local.get $q))
      (local.set $floats (i32.add (local.get $floats) (i32.const 1))))`;
}

/** Digits to milliseconds; a fraction or more than 15 digits are for the reader. */
function timeDigits(encoding: string): string {
  const scale =
    encoding === 's'
      ? '(local.set $value (i64.mul (local.get $value) (i64.const 1000)))'
      : encoding === 'us'
        ? '(local.set $value (i64.div_u (local.get $value) (i64.const 1000)))'
        : '';
  // 16 digits of microseconds are a time of today; a 17th is a miss at the next text.
  return `${digitsCode}
    (br_if $other ${isEmpty})
    ${passDigits}
    ${scale}`;
}

function storeTime(place: ColumnPlace, isEventTime: boolean): string {
  return `
    (local.set $float (f64.convert_i64_u (local.get $value)))
    (br_if $miss (i32.eqz (f64.le (local.get $float) (local.get $timeEnd))))
    (f64.store offset=${place.values} ${rowTimes(8)} (local.get $float))
    ${isEventTime ? '(local.set $time (local.get $float))' : ''}`;
}

/** The end of a record: every field that may not be missing is there, or it is left to the reader. */
function endCode(spec: ScanSpec, tree: PathTree): string {
  let required = 0n;
  let compared = 0n;
  for (const node of tree.nodes) {
    const index = node.fields[0];
    if (index === undefined) continue;
    if (!spec.fields[index]!.nullable) required |= seenBit(node.id);
    if (spec.equals.some(({ field }) => field === index)) compared |= seenBit(node.id);
  }
  const lacks = (bits: bigint): string =>
    `(i64.ne (i64.and (local.get $seen) (i64.const ${bits})) (i64.const ${bits}))`;
  const seen = `(local.set $seen
    (i64.or (local.get $seen) (i64.load offset=${edgePlace.seen} (local.get $edge))))`;
  const drop = `(local.set $drop (i32.or (local.get $drop) ${lacks(compared)}))`;
  return `${seen}
    (if ${lacks(required)} (then ${bailCode}))
    ${compared === 0n ? '' : drop}
    (local.set $records (i32.add (local.get $records) (i32.const 1)))
    (local.set $timeMax (f64.max (local.get $timeMax) (local.get $time)))
    (local.set $floatsKept
      (select (local.get $floatsKept) (local.get $floats) (local.get $drop)))
    (local.set $row
      (i32.add (local.get $row) (i32.xor (local.get $drop) (i32.const 1))))
    (local.set $p (local.get $q))
    (br $records)`;
}

/** Fills the tables that the generated code looks things up in. */
export function writeTables(buffer: ArrayBuffer): void {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  for (let count = 0; count <= 16; count += 1) {
    for (let lane = 0; lane < 16; lane += 1) {
      const from = lane - (16 - count);
      bytes[scanMemory.alignments + count * 16 + lane] = from < 0 ? 255 : from;
    }
    view.setBigInt64(scanMemory.integerPowers + count * 8, 10n ** BigInt(count), true);
    view.setFloat64(scanMemory.floatPowers + count * 8, Number(`1e${count}`), true);
  }
  assert(scanMemory.floatPowers + 17 * 8 <= scanMemory.edges, 'the tables end before the edges');
}
