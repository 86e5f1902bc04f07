// Generates the WebAssembly of a JSON scan. It follows edges of a learned layout: an edge is the
// exact text between two values (`,"ad_id":"`), compared 16 bytes at a time, and what to do with
// the value behind it, which is checked as strictly as `JSON.parse` does. Where no edge fits, or a
// value is not plain, it stops at the record's start and leaves the record to `JsonReader`.

import type { PathTree } from './field-paths.ts';
import { edgePlace, scanMemory, seenBit } from './json-scan-memory.ts';
import { advance, clearCode, fieldActions, skipCode, stringCode } from './json-scan-values.ts';
import type { ColumnPlace } from './scan-columns.ts';
import { type ScanSpec, scanChunkRows } from './scanner.ts';

/** Floats that wait for a correct rounding; the scan pauses when they might not fit. */
const floatCountMax = 4096;

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

/** The end of a record: each field that may not be missing is there, or the reader decides. */
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
