// The WebAssembly functions that every generated JSON scan calls: the ends of strings, numbers and
// whole values, each checked as strictly as `JSON.parse` does, and ISO times. They give 0 for what
// is wrong or for `JsonReader` to decide. Memory ends in zero bytes, at which all of them stop.

const q = '(local.get $q)';

function byteAt(offset = 0): string {
  return `(i32.load8_u offset=${offset} ${q})`;
}

function byteIs(text: string): string {
  return `(i32.eq (local.get $c) (i32.const ${text.charCodeAt(0)}))`;
}

function anyOf(conditions: readonly string[]): string {
  return conditions.reduce((all, condition) => `(i32.or ${all} ${condition})`);
}

function step(bytes: number): string {
  return `(local.set $q (i32.add ${q} (i32.const ${bytes})))`;
}

/** Whether the byte at `offset` is no continuation byte of UTF-8 from `low` to `high`. */
function continues(offset: number, low = '(i32.const 0x80)', high = '(i32.const 0xbf)'): string {
  return `(i32.or
    (i32.lt_u ${byteAt(offset)} ${low})
    (i32.gt_u ${byteAt(offset)} ${high}))`;
}

/** From a byte of a string to its end quote, one byte at a time; sets $escaped. */
const stringRest = `
(global $escaped)
(func $isNoHex (param $c i32) (result i32)
  (i32.and
    (i32.ge_u (i32.sub (local.get $c) (i32.const 48)) (i32.const 10))
    (i32.ge_u
      (i32.sub (i32.or (local.get $c) (i32.const 32)) (i32.const 97)) (i32.const 6))))
(func $stringRest (param $q i32) (result i32) (local $c i32)
  (block $bad
    (loop $next
      (local.set $c ${byteAt()})
      (if ${byteIs('"')} (then (return ${q})))
      (if ${byteIs('\\')} (then
        (global.set $escaped (i32.const 1))
        (local.set $c ${byteAt(1)})
        (if ${byteIs('u')} (then
          (br_if $bad ${anyOf([2, 3, 4, 5].map((i) => `(call $isNoHex ${byteAt(i)})`))})
          ${step(6)} (br $next)))
        (br_if $bad (i32.eqz ${anyOf([...'"\\/bfnrt'].map(byteIs))}))
        ${step(2)} (br $next)))
      (br_if $bad (i32.lt_u (local.get $c) (i32.const 0x20)))
      (if (i32.lt_u (local.get $c) (i32.const 0x80)) (then ${step(1)} (br $next)))
      (br_if $bad (i32.lt_u (local.get $c) (i32.const 0xc2)))
      (br_if $bad (i32.gt_u (local.get $c) (i32.const 0xf4)))
      (if (i32.lt_u (local.get $c) (i32.const 0xe0)) (then
        (br_if $bad ${continues(1)})
        ${step(2)} (br $next)))
      (if (i32.lt_u (local.get $c) (i32.const 0xf0)) (then
        (br_if $bad ${continues(
          1,
          '(select (i32.const 0xa0) (i32.const 0x80) (i32.eq (local.get $c) (i32.const 0xe0)))',
          '(select (i32.const 0x9f) (i32.const 0xbf) (i32.eq (local.get $c) (i32.const 0xed)))',
        )})
        (br_if $bad ${continues(2)})
        ${step(3)} (br $next)))
      (br_if $bad ${continues(
        1,
        '(select (i32.const 0x90) (i32.const 0x80) (i32.eq (local.get $c) (i32.const 0xf0)))',
        '(select (i32.const 0x8f) (i32.const 0xbf) (i32.eq (local.get $c) (i32.const 0xf4)))',
      )})
      (br_if $bad ${continues(2)})
      (br_if $bad ${continues(3)})
      ${step(4)} (br $next)))
  (i32.const 0))`;

const numberEnd = `
(func $digitsEnd (param $q i32) (result i32)
  (loop $next
    (if (i32.lt_u (i32.sub ${byteAt()} (i32.const 48)) (i32.const 10))
      (then ${step(1)} (br $next))))
  ${q})
(func $numberEnd (param $q i32) (result i32) (local $c i32) (local $first i32)
  (block $bad
    (local.set $c ${byteAt()})
    (if ${byteIs('-')} (then ${step(1)}))
    (local.set $first ${q})
    (local.set $q (call $digitsEnd ${q}))
    (br_if $bad (i32.eq ${q} (local.get $first)))
    (br_if $bad (i32.and
      (i32.eq (i32.load8_u (local.get $first)) (i32.const 48))
      (i32.gt_u ${q} (i32.add (local.get $first) (i32.const 1)))))
    (local.set $c ${byteAt()})
    (if ${byteIs('.')} (then
      ${step(1)}
      (local.set $first ${q})
      (local.set $q (call $digitsEnd ${q}))
      (br_if $bad (i32.eq ${q} (local.get $first)))
      (local.set $c ${byteAt()})))
    (if ${anyOf([byteIs('e'), byteIs('E')])} (then
      ${step(1)}
      (local.set $c ${byteAt()})
      (if ${anyOf([byteIs('+'), byteIs('-')])} (then ${step(1)}))
      (local.set $first ${q})
      (local.set $q (call $digitsEnd ${q}))
      (br_if $bad (i32.eq ${q} (local.get $first)))))
    (return ${q}))
  (i32.const 0))`;

/** A whole value. The kinds of the open brackets are bits of $stack, 1 for an object. */
const skipValue = `
(func $skipSpace (param $q i32) (result i32) (local $c i32)
  (loop $next
    (local.set $c ${byteAt()})
    (if ${anyOf([byteIs(' '), byteIs('\t'), byteIs('\r')])} (then ${step(1)} (br $next))))
  ${q})
(func $stringEnd (param $q i32) (result i32) (local $v v128) (local $hits i32)
  (loop $string
    (local.set $hits (i8x16.bitmask (v128.or
      (i8x16.lt_s (local.tee $v (v128.load ${q})) (i8x16.splat (i32.const 0x20)))
      (v128.or
        (i8x16.eq (local.get $v) (i8x16.splat (i32.const 0x22)))
        (i8x16.eq (local.get $v) (i8x16.splat (i32.const 0x5c)))))))
    (if (i32.eqz (local.get $hits)) (then ${step(16)} (br $string))))
  (local.set $q (i32.add ${q} (i32.ctz (local.get $hits))))
  (if (i32.eq ${byteAt()} (i32.const 0x22)) (then (return ${q})))
  (call $stringRest ${q}))
(func $keyEnd (param $q i32) (result i32)
  (block $bad
    (br_if $bad (i32.ne ${byteAt()} (i32.const 34)))
    (local.set $q (call $stringEnd (i32.add ${q} (i32.const 1))))
    (br_if $bad (i32.eqz ${q}))
    (local.set $q (call $skipSpace (i32.add ${q} (i32.const 1))))
    (br_if $bad (i32.ne ${byteAt()} (i32.const 58)))
    (return (call $skipSpace (i32.add ${q} (i32.const 1)))))
  (i32.const 0))
(func $skipValue (param $q i32) (result i32)
  (local $c i32) (local $depth i32) (local $stack i64)
  (block $bad
    (loop $value
      (local.set $c ${byteAt()})
      (block $behind
        (if ${byteIs('"')} (then
          (local.set $q (call $stringEnd (i32.add ${q} (i32.const 1))))
          (br_if $bad (i32.eqz ${q}))
          ${step(1)} (br $behind)))
        (if ${anyOf([byteIs('{'), byteIs('[')])} (then
          (br_if $bad (i32.eq (local.get $depth) (i32.const 64)))
          (local.set $depth (i32.add (local.get $depth) (i32.const 1)))
          (local.set $stack (i64.or
            (i64.shl (local.get $stack) (i64.const 1))
            (i64.extend_i32_u ${byteIs('{')})))
          (local.set $q (call $skipSpace (i32.add ${q} (i32.const 1))))
          ;; The brackets that close are 2 above those that open; an empty one closes at once.
          (br_if $behind (i32.eq ${byteAt()} (i32.add (local.get $c) (i32.const 2))))
          (if ${byteIs('{')} (then
            (local.set $q (call $keyEnd ${q}))
            (br_if $bad (i32.eqz ${q}))))
          (br $value)))
        (if ${byteIs('t')} (then
          (br_if $bad (i32.ne (i32.load ${q}) (i32.const 0x65757274)))
          ${step(4)} (br $behind)))
        (if ${byteIs('n')} (then
          (br_if $bad (i32.ne (i32.load ${q}) (i32.const 0x6c6c756e)))
          ${step(4)} (br $behind)))
        (if ${byteIs('f')} (then
          (br_if $bad (i32.ne (i32.load offset=1 ${q}) (i32.const 0x65736c61)))
          ${step(5)} (br $behind)))
        (local.set $q (call $numberEnd ${q}))
        (br_if $bad (i32.eqz ${q})))
      (loop $after
        (if (i32.eqz (local.get $depth)) (then (return ${q})))
        (local.set $q (call $skipSpace ${q}))
        (local.set $c ${byteAt()})
        (if ${byteIs(',')} (then
          (local.set $q (call $skipSpace (i32.add ${q} (i32.const 1))))
          (if (i32.wrap_i64 (i64.and (local.get $stack) (i64.const 1))) (then
            (local.set $q (call $keyEnd ${q}))
            (br_if $bad (i32.eqz ${q}))))
          (br $value)))
        (br_if $bad (i32.ne (local.get $c) (select (i32.const 125) (i32.const 93)
          (i32.wrap_i64 (i64.and (local.get $stack) (i64.const 1))))))
        (local.set $stack (i64.shr_u (local.get $stack) (i64.const 1)))
        (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
        ${step(1)} (br $after))))
  (i32.const 0))`;

/** A vector of the text's bytes, or of 255 where a byte counts. */
function pattern(text: string, isMask: boolean): string {
  const bytes = [...text].map((c) => (c === '_' ? 0 : isMask ? 255 : c.charCodeAt(0)));
  return `(v128.const i8x16 ${bytes.join(' ')})`;
}

function two(offset: number): string {
  return `(call $digits2 (i32.add ${q} (i32.const ${offset})))`;
}

/**
 * `2024-02-29T12:34:56Z"` with or without a fraction, from 1970 on: bit 63 is set, below it are
 * milliseconds, and $isoEnd is behind the quote. Other forms are for the reader.
 */
const isoTime = `
(global $isoEnd)
(func $digits2 (param $q i32) (result i32) (local $a i32) (local $b i32)
  (local.set $a (i32.sub ${byteAt()} (i32.const 48)))
  (local.set $b (i32.sub ${byteAt(1)} (i32.const 48)))
  (if (i32.or
      (i32.ge_u (local.get $a) (i32.const 10)) (i32.ge_u (local.get $b) (i32.const 10)))
    (then (return (i32.const 0x10000))))
  (i32.add (i32.mul (local.get $a) (i32.const 10)) (local.get $b)))
(func $isoTime (param $q i32) (result i64)
  (local $year i32) (local $month i32) (local $day i32) (local $hour i32) (local $minute i32)
  (local $second i32) (local $ms i32) (local $unit i32) (local $c i32) (local $isLeap i32)
  (block $bad
    (br_if $bad (v128.any_true (v128.and
      (v128.xor (v128.load ${q}) ${pattern('____-__-__T__:__', false)})
      ${pattern('____-__-__T__:__', true)})))
    (br_if $bad (i32.ne ${byteAt(16)} (i32.const 58)))
    (local.set $year (i32.add (i32.mul ${two(0)} (i32.const 100)) ${two(2)}))
    (local.set $month ${two(5)})
    (local.set $day ${two(8)})
    (local.set $hour ${two(11)})
    (local.set $minute ${two(14)})
    (local.set $second ${two(17)})
    (br_if $bad (i32.or
      (i32.lt_u (local.get $year) (i32.const 1970))
      (i32.gt_u (local.get $year) (i32.const 9999))))
    (br_if $bad (i32.ge_u (i32.sub (local.get $month) (i32.const 1)) (i32.const 12)))
    (br_if $bad (i32.gt_u (local.get $hour) (i32.const 23)))
    (br_if $bad (i32.gt_u (local.get $minute) (i32.const 59)))
    (br_if $bad (i32.gt_u (local.get $second) (i32.const 59)))
    (local.set $isLeap (i32.and
      (i32.eqz (i32.and (local.get $year) (i32.const 3)))
      (i32.or
        (i32.ne (i32.rem_u (local.get $year) (i32.const 100)) (i32.const 0))
        (i32.eqz (i32.rem_u (local.get $year) (i32.const 400))))))
    (br_if $bad (i32.ge_u (i32.sub (local.get $day) (i32.const 1)) (select
      (i32.add (i32.const 28) (local.get $isLeap))
      (i32.add (i32.const 30) (i32.and (i32.const 1)
        (i32.add (local.get $month) (i32.shr_u (local.get $month) (i32.const 3)))))
      (i32.eq (local.get $month) (i32.const 2)))))
    ${step(19)}
    (local.set $c ${byteAt()})
    (if ${byteIs('.')} (then
      (local.set $unit (i32.const 100))
      (br_if $bad (i32.ge_u (i32.sub ${byteAt(1)} (i32.const 48)) (i32.const 10)))
      (loop $fraction
        ${step(1)}
        (local.set $c (i32.sub ${byteAt()} (i32.const 48)))
        (if (i32.lt_u (local.get $c) (i32.const 10)) (then
          (local.set $ms
            (i32.add (local.get $ms) (i32.mul (local.get $c) (local.get $unit))))
          (local.set $unit (i32.div_u (local.get $unit) (i32.const 10)))
          (br $fraction))))))
    (br_if $bad (i32.ne (i32.load16_u ${q}) (i32.const 0x225a)))
    (global.set $isoEnd (i32.add ${q} (i32.const 2)))
    ;; Days since 1970-01-01, years counted from March.
    (if (i32.gt_u (local.get $month) (i32.const 2))
      (then (local.set $month (i32.sub (local.get $month) (i32.const 3))))
      (else
        (local.set $month (i32.add (local.get $month) (i32.const 9)))
        (local.set $year (i32.sub (local.get $year) (i32.const 1)))))
    (local.set $day (i32.add
      (i32.sub (local.get $day) (i32.const 719469))
      (i32.add
        (i32.div_u
          (i32.add (i32.mul (local.get $month) (i32.const 153)) (i32.const 2)) (i32.const 5))
        (i32.add
          (i32.add
            (i32.mul (local.get $year) (i32.const 365))
            (i32.div_u (local.get $year) (i32.const 4)))
          (i32.sub
            (i32.div_u (local.get $year) (i32.const 400))
            (i32.div_u (local.get $year) (i32.const 100)))))))
    (return (i64.or (i64.shl (i64.const 1) (i64.const 63)) (i64.add
      (i64.mul (i64.extend_i32_u (local.get $day)) (i64.const 86400000))
      (i64.extend_i32_u (i32.add (local.get $ms) (i32.mul (i32.const 1000) (i32.add
        (local.get $second) (i32.mul (i32.const 60) (i32.add
          (local.get $minute) (i32.mul (local.get $hour) (i32.const 60)))))))))))) 
  (i64.const 0))`;

export const scanSupport = [stringRest, numberEnd, skipValue, isoTime].join('\n');
