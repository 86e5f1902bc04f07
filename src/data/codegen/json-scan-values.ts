// Generates the part of a JSON scan that reads one value at $q, by its form in the text and its
// field's type: checks it, stores it in $row and leaves $q behind it, or branches to $miss.

import type { Field } from '../../schema/data-type.ts';
import { scanMemory } from './json-scan-memory.ts';
import type { ColumnPlace, ValueForm } from './scan-columns.ts';
import type { ScanSpec } from './scanner.ts';

function splat(byte: number): string {
  return `(v128.const i8x16 ${Array(16).fill(byte).join(' ')})`;
}

export function advance(bytes: number): string {
  return `(local.set $q (i32.add (local.get $q) (i32.const ${bytes})))`;
}

function vectorOf(even: number, odd: number): string {
  return `(v128.const i16x8 ${Array(4).fill(`${even} ${odd}`).join(' ')})`;
}

/** From a string's first byte at $q to its end quote. Signed: bytes over 127 are below 0. */
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

export const stringCode = `${stringLoop}
  (if ${isNoQuote} (then
    (local.set $q (call $stringRest (local.get $q)))
    (br_if $miss (i32.eqz (local.get $q)))))`;

/** As `stringCode`, but a string with escapes is a miss: the reader unescapes it. */
const plainStringCode = `${stringLoop}
  (if ${isNoQuote} (then
    (global.set $escaped (i32.const 0))
    (local.set $q (call $stringRest (local.get $q)))
    (br_if $miss (i32.or (i32.eqz (local.get $q)) (global.get $escaped)))))`;

export const skipCode = `
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

export function clearCode(field: Field, place: ColumnPlace): string {
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

export function fieldActions(
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
