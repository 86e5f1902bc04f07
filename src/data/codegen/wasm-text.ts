// An assembler for the part of the WebAssembly text format that our generators write: folded
// instructions, names for functions, locals, globals and labels, one imported memory. It makes a
// module at run time, so that generated code stays text that a person can read.

import { assert } from '../../base/assert.ts';

// The engine's own types come with a browser's or a runtime's library; this is all that we use.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (
    module: object,
    imports: Record<string, Record<string, unknown>>,
  ) => { readonly exports: Record<string, unknown> };
  readonly Memory: new (descriptor: { initial: number; maximum: number }) => WasmMemory;
};

export type WasmMemory = { readonly buffer: ArrayBuffer };

export const wasmPageBytes = 65_536;

/** A memory of fixed size: it cannot grow, so views on it stay valid. */
export function fixedMemory(bytes: number): WasmMemory {
  const pages = Math.ceil(bytes / wasmPageBytes);
  return new WebAssembly.Memory({ initial: pages, maximum: pages });
}

/** Assembles and starts the module on `memory` and gives its exports. */
export function startModule<T>(source: string, memory: WasmMemory): T {
  return new WebAssembly.Instance(moduleOf(source), { env: { memory } }).exports as T;
}

/**
 * Modules have no state, and many executors of one thread compile the same text: simulated
 * workers, and runs one after the other. The oldest of so many is assembled again when it is
 * wanted.
 */
const modulesKeptMax = 32;
const modules = new Map<string, object>();

function moduleOf(source: string): object {
  const known = modules.get(source);
  if (known !== undefined) return known;
  const [oldest] = modules.keys();
  if (modules.size >= modulesKeptMax) modules.delete(oldest!);
  const module = new WebAssembly.Module(assembleModule(source));
  modules.set(source, module);
  return module;
}

type Node = string | Node[];

const valueTypes: Readonly<Record<string, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f64: 0x7c,
  v128: 0x7b,
};

/** Instructions without immediate operands. */
const plainCodes: Readonly<Record<string, readonly number[]>> = {
  unreachable: [0x00],
  return: [0x0f],
  drop: [0x1a],
  select: [0x1b],
  'i32.eqz': [0x45],
  'i32.eq': [0x46],
  'i32.ne': [0x47],
  'i32.lt_s': [0x48],
  'i32.lt_u': [0x49],
  'i32.gt_s': [0x4a],
  'i32.gt_u': [0x4b],
  'i32.le_u': [0x4d],
  'i32.ge_u': [0x4f],
  'i64.eqz': [0x50],
  'i64.eq': [0x51],
  'i64.ne': [0x52],
  'i64.lt_u': [0x54],
  'i64.gt_u': [0x56],
  'i64.le_u': [0x58],
  'f64.lt': [0x63],
  'f64.gt': [0x64],
  'f64.le': [0x65],
  'i32.ctz': [0x68],
  'i32.add': [0x6a],
  'i32.sub': [0x6b],
  'i32.mul': [0x6c],
  'i32.div_u': [0x6e],
  'i32.rem_u': [0x70],
  'i32.and': [0x71],
  'i32.or': [0x72],
  'i32.xor': [0x73],
  'i32.shl': [0x74],
  'i32.shr_u': [0x76],
  'i64.add': [0x7c],
  'i64.sub': [0x7d],
  'i64.mul': [0x7e],
  'i64.div_u': [0x80],
  'i64.and': [0x83],
  'i64.or': [0x84],
  'i64.xor': [0x85],
  'i64.shl': [0x86],
  'i64.shr_u': [0x88],
  'f64.neg': [0x9a],
  'f64.div': [0xa3],
  'f64.max': [0xa5],
  'i32.wrap_i64': [0xa7],
  'i64.extend_i32_s': [0xac],
  'i64.extend_i32_u': [0xad],
  'f64.convert_i64_u': [0xba],
  'i8x16.swizzle': [0xfd, 0x0e],
  'i8x16.splat': [0xfd, 0x0f],
  'i8x16.eq': [0xfd, 0x23],
  'i8x16.lt_s': [0xfd, 0x25],
  'i8x16.lt_u': [0xfd, 0x26],
  'v128.and': [0xfd, 0x4e],
  'v128.or': [0xfd, 0x50],
  'v128.xor': [0xfd, 0x51],
  'v128.any_true': [0xfd, 0x53],
  'i8x16.bitmask': [0xfd, 0x64],
  'i8x16.sub': [0xfd, 0x71],
  'i16x8.narrow_i32x4_u': [0xfd, 0x86, 0x01],
  'i16x8.shr_u': [0xfd, 0x8d, 0x01],
  'i16x8.add': [0xfd, 0x8e, 0x01],
  'i16x8.mul': [0xfd, 0x95, 0x01],
  'i32x4.dot_i16x8_s': [0xfd, 0xba, 0x01],
};

/** Loads and stores: they may have an `offset=` and never state an alignment. */
const memoryCodes: Readonly<Record<string, readonly number[]>> = {
  'i32.load': [0x28],
  'i64.load': [0x29],
  'f64.load': [0x2b],
  'i32.load8_u': [0x2d],
  'i32.load16_u': [0x2f],
  'i32.store': [0x36],
  'i64.store': [0x37],
  'f64.store': [0x39],
  'i32.store8': [0x3a],
  'v128.load': [0xfd, 0x00],
  'v128.store': [0xfd, 0x0b],
};

type Signature = { readonly parameters: readonly number[]; readonly results: readonly number[] };

type FunctionText = {
  readonly name: string;
  readonly exported: string | null;
  readonly signature: Signature;
  readonly locals: readonly (readonly [name: string, type: number])[];
  readonly body: readonly Node[];
};

export function assembleModule(source: string): Uint8Array<ArrayBuffer> {
  const nodes = readNodes(source);
  const globals = nodes.filter((node) => node[0] === 'global').map((node) => node[1] as string);
  const functions = nodes.filter((node) => node[0] === 'func').map(readFunction);
  assert(functions.length + globals.length === nodes.length, 'a module is functions and globals');
  const scope = { globals, functions: functions.map(({ name }) => name) };
  const types = functions.map(({ signature: { parameters, results } }) => [
    0x60,
    ...vector(parameters.map((type) => [type])),
    ...vector(results.map((type) => [type])),
  ]);
  const exported = functions.flatMap((text, index) =>
    text.exported === null ? [] : [[...name(text.exported), 0x00, ...unsigned(index)]],
  );
  return Uint8Array.from([
    0x00,
    0x61,
    0x73,
    0x6d,
    0x01,
    0x00,
    0x00,
    0x00,
    ...section(1, vector(types)),
    ...section(2, vector([[...name('env'), ...name('memory'), 0x02, 0x00, 0x01]])),
    ...section(3, vector(functions.map((_, index) => unsigned(index)))),
    // All globals are i32, mutable and 0 at the start.
    ...section(6, vector(globals.map(() => [0x7f, 0x01, 0x41, 0x00, 0x0b]))),
    ...section(7, vector(exported)),
    ...section(10, vector(functions.map((text) => assembleFunction(text, scope)))),
  ]);
}

/** The parenthesised lists of the text; `;;` begins a comment. */
function readNodes(source: string): Node[][] {
  const root: Node[] = [];
  const open: Node[][] = [root];
  for (const [token] of source.replace(/;;.*$/gm, '').matchAll(/[()]|[^\s()]+/g)) {
    if (token === '(') {
      const list: Node[] = [];
      open.at(-1)!.push(list);
      open.push(list);
    } else if (token === ')') {
      assert(open.length > 1, 'no parenthesis closes before it opens');
      open.pop();
    } else {
      open.at(-1)!.push(token);
    }
  }
  assert(open.length === 1, 'every parenthesis closes');
  return root as Node[][];
}

function readFunction(node: readonly Node[]): FunctionText {
  const locals: [string, number][] = [];
  const parameters: number[] = [];
  const results: number[] = [];
  let exported: string | null = null;
  let first = 2;
  for (; first < node.length; first += 1) {
    const [head, a, b] = node[first] as string[];
    if (head === 'export') exported = a!.slice(1, -1);
    else if (head === 'param') parameters.push(typeNamed(b!));
    else if (head === 'result') results.push(typeNamed(a!));
    else if (head !== 'local') break;
    if (head === 'param' || head === 'local') locals.push([a!, typeNamed(b!)]);
  }
  const signature = { parameters, results };
  return { name: node[1] as string, exported, signature, locals, body: node.slice(first) };
}

function typeNamed(text: string): number {
  const type = valueTypes[text];
  assert(type !== undefined, `unknown value type ${text}`);
  return type;
}

type Scope = { readonly globals: readonly string[]; readonly functions: readonly string[] };

function assembleFunction(text: FunctionText, scope: Scope): number[] {
  const code: number[] = [];
  const names = text.locals.map(([local]) => local);
  const emitter = new Emitter(code, names, scope);
  for (const node of text.body) emitter.emit(node);
  const declared = text.locals.slice(text.signature.parameters.length);
  const body = [...vector(declared.map(([, type]) => [0x01, type])), ...code, 0x0b];
  return [...unsigned(body.length), ...body];
}

class Emitter {
  private readonly code: number[];
  private readonly locals: readonly string[];
  private readonly scope: Scope;
  /** Labels from the outermost in. */
  private readonly labels: string[] = [];

  constructor(code: number[], locals: readonly string[], scope: Scope) {
    this.code = code;
    this.locals = locals;
    this.scope = scope;
  }

  emit(node: Node): void {
    assert(typeof node !== 'string', `instructions are folded: ${String(node)}`);
    const head = node[0] as string;
    const plain = plainCodes[head];
    const memory = memoryCodes[head];
    if (plain !== undefined) {
      this.emitAll(node, 1);
      this.code.push(...plain);
    } else if (memory !== undefined) {
      const offset = String(node[1]).startsWith('offset=') ? Number(String(node[1]).slice(7)) : -1;
      this.emitAll(node, offset < 0 ? 1 : 2);
      this.code.push(...memory, 0x00, ...unsigned(Math.max(offset, 0)));
    } else {
      this.emitSpecial(head, node);
    }
  }

  private emitAll(node: readonly Node[], first: number): void {
    for (let i = first; i < node.length; i += 1) this.emit(node[i]!);
  }

  private emitSpecial(head: string, node: readonly Node[]): void {
    const operand = node[1] as string;
    switch (head) {
      case 'block':
      case 'loop':
        this.code.push(head === 'block' ? 0x02 : 0x03, 0x40);
        this.labels.push(operand);
        this.emitAll(node, 2);
        this.labels.pop();
        this.code.push(0x0b);
        break;
      case 'if':
        this.emitIf(node);
        break;
      case 'br':
      case 'br_if':
        this.emitAll(node, 2);
        this.code.push(head === 'br' ? 0x0c : 0x0d, ...this.label(operand));
        break;
      case 'br_table': {
        const labels = node.slice(1, -1).map((label) => this.label(label as string));
        this.emit(node.at(-1)!);
        this.code.push(0x0e, ...unsigned(labels.length - 1), ...labels.flat());
        break;
      }
      case 'call':
        this.emitAll(node, 2);
        this.code.push(0x10, ...indexOf(this.scope.functions, operand));
        break;
      case 'local.get':
      case 'local.set':
      case 'local.tee': {
        this.emitAll(node, 2);
        const code = head === 'local.get' ? 0x20 : head === 'local.set' ? 0x21 : 0x22;
        this.code.push(code, ...indexOf(this.locals, operand));
        break;
      }
      case 'global.get':
      case 'global.set':
        this.emitAll(node, 2);
        this.code.push(head === 'global.get' ? 0x23 : 0x24);
        this.code.push(...indexOf(this.scope.globals, operand));
        break;
      case 'i32.const':
        this.code.push(0x41, ...signed(BigInt(operand)));
        break;
      case 'i64.const':
        this.code.push(0x42, ...signed(BigInt.asIntN(64, BigInt(operand))));
        break;
      case 'f64.const':
        this.code.push(0x44, ...new Uint8Array(Float64Array.of(floatOf(operand)).buffer));
        break;
      case 'v128.const':
        this.code.push(0xfd, 0x0c, ...lanes(operand, node.slice(2).map(Number)));
        break;
      case 'i32x4.extract_lane':
        this.emitAll(node, 2);
        this.code.push(0xfd, 0x1b, Number(operand));
        break;
      default:
        assert(false, `unknown instruction ${head}`);
    }
  }

  private emitIf(node: readonly Node[]): void {
    const [, condition, then, otherwise] = node;
    this.emit(condition!);
    this.code.push(0x04, 0x40);
    this.labels.push('');
    this.emitAll(then as Node[], 1);
    if (otherwise !== undefined) {
      this.code.push(0x05);
      this.emitAll(otherwise as Node[], 1);
    }
    this.labels.pop();
    this.code.push(0x0b);
  }

  private label(label: string): number[] {
    const index = this.labels.lastIndexOf(label);
    assert(index >= 0, `unknown label ${label}`);
    return unsigned(this.labels.length - 1 - index);
  }
}

function floatOf(text: string): number {
  return text === '-inf' ? Number.NEGATIVE_INFINITY : Number(text);
}

function lanes(shape: string, values: readonly number[]): Uint8Array {
  assert(shape === 'i8x16' || shape === 'i16x8', `unknown shape ${shape}`);
  const array = shape === 'i8x16' ? Uint8Array.from(values) : Uint16Array.from(values);
  assert(array.byteLength === 16, 'a vector has 16 bytes');
  return new Uint8Array(array.buffer);
}

function indexOf(names: readonly string[], wanted: string): number[] {
  const index = names.indexOf(wanted);
  assert(index >= 0, `unknown name ${wanted}`);
  return unsigned(index);
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

function vector(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

function name(text: string): number[] {
  const bytes = new TextEncoder().encode(text);
  return [...unsigned(bytes.length), ...bytes];
}

/** LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
}

function signed(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest < -64n || rest > 63n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest & 0x7fn));
  return bytes;
}
