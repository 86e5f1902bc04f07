import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixedMemory, startModule } from './wasm-text.ts';

test('startModule runs folded text with locals, globals, labels and calls', () => {
  const source = `
    (global $calls)
    (func $double (param $x i32) (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (i32.mul (local.get $x) (i32.const 2)))
    (func $sum (export "sum") (param $n i32) (result i32) (local $total i32)
      (block $done
        (loop $next
          (br_if $done (i32.eqz (local.get $n))) ;; counts down
          (local.set $total (i32.add (local.get $total) (call $double (local.get $n))))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br $next)))
      (i32.add (local.get $total) (i32.mul (i32.const -1000) (global.get $calls))))`;
  const { sum } = startModule<{ sum(n: number): number }>(source, fixedMemory(1));
  assert.equal(sum(4), 20 - 4000);
});

test('startModule has vectors, memory and tables of branches', () => {
  const source = `
    (func $find (export "find") (param $at i32) (param $byte i32) (result i32)
      (i32.ctz (i8x16.bitmask (i8x16.eq
        (v128.load offset=1 (local.get $at)) (i8x16.splat (local.get $byte))))))
    (func $pick (export "pick") (param $index i32) (result i32)
      (block $b (block $a (br_table $a $b (local.get $index)))
        (return (i32.const 10)))
      (i32.const 200000))`;
  const memory = fixedMemory(64);
  new Uint8Array(memory.buffer)[9] = 7;
  type Exports = { find(at: number, byte: number): number; pick(index: number): number };
  const { find, pick } = startModule<Exports>(source, memory);
  assert.equal(find(3, 7), 5);
  assert.equal(find(9, 7), 32);
  assert.deepEqual([pick(0), pick(1), pick(9)], [10, 200_000, 200_000]);
});

test('startModule refuses what it does not know', () => {
  assert.throws(
    () => startModule('(func $f (f32.nearest))', fixedMemory(1)),
    /unknown instruction/,
  );
  assert.throws(() => startModule('(func $f (br $nowhere))', fixedMemory(1)), /unknown label/);
  assert.throws(() => startModule('(func $f', fixedMemory(1)), /closes/);
});
