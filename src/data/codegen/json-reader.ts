// Reads one JSON record of any layout: checks all of it as strictly as `JSON.parse` and notes where
// the wanted values are. It is the slow path and the authority: the generated scan takes only
// records in a layout that this reader has read before, and leaves all others to it.

import type { PathNode, PathTree } from './field-paths.ts';
import { stringEnd, stringFault } from './json-string.ts';
import { numberEnd } from './number-text.ts';
import type { ValueForm } from './scan-columns.ts';

/** Deeper nesting is refused; it bounds our recursion. */
export const jsonDepthMax = 512;

/** Where one wanted value is; a string's span is without its quotes. */
export type FoundValue = {
  form: ValueForm | 'missing';
  start: number;
  end: number;
  escaped: boolean;
};

/** One step through the objects that hold wanted members, from which a layout is learned. */
export type LayoutStep = {
  /** `open`: a wanted object begins; its members follow. */
  readonly kind: 'open' | 'value';
  /** The wanted member, or -1 for one that is skipped. */
  readonly node: number;
  /** The object that the member is in. */
  readonly parent: number;
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly start: number;
  readonly end: number;
  readonly form: ValueForm;
};

export class JsonReader {
  readonly found: FoundValue[];
  /** The steps of the record, when `tracing` was set before `read`. */
  readonly steps: LayoutStep[] = [];
  tracing = false;
  /** Why the last `read` gave -1. */
  code = '';
  message = '';
  offset = 0;
  private readonly root: PathNode;
  private readonly at = { offset: 0, escaped: false };
  private input: Uint8Array = new Uint8Array(0);
  private to = 0;

  constructor(tree: PathTree) {
    this.root = tree.root;
    this.found = tree.root.within.map(() => ({
      form: 'missing',
      start: 0,
      end: 0,
      escaped: false,
    }));
  }

  /** Reads the record of the line that begins at `from` and gives the line's end, or -1. */
  read(input: Uint8Array, from: number, to: number): number {
    this.input = input;
    this.to = to;
    this.steps.length = 0;
    this.clear(this.root);
    const start = this.skipSpace(from);
    if (input[start] !== 0x7b) return this.refuseStart(start, from);
    const end = this.object(start, this.root, 1);
    if (end < 0) return -1;
    const rest = this.skipSpace(end);
    if (!this.isLineEnd(rest)) return this.fail('json-syntax', 'text follows the object', rest);
    return rest;
  }

  private refuseStart(p: number, from: number): number {
    const { input } = this;
    if (input[p] === 0xef && input[p + 1] === 0xbb && input[p + 2] === 0xbf) {
      return this.fail('json-syntax', 'a byte order mark is before the record', p);
    }
    const end = this.value(p, null, 0);
    if (end < 0) return -1;
    return this.isLineEnd(this.skipSpace(end))
      ? this.fail('json-type', 'the record is not an object', from)
      : this.fail('json-syntax', 'text follows the value', end);
  }

  private fail(code: string, message: string, offset: number): number {
    this.code = code;
    this.message = message;
    this.offset = offset;
    return -1;
  }

  private isLineEnd(p: number): boolean {
    return p >= this.to || this.input[p] === 0x0a;
  }

  private clear(node: PathNode): void {
    for (const index of node.within) this.found[index]!.form = 'missing';
  }

  /** White space of a line: a newline ends the record, whatever is open. */
  private skipSpace(from: number): number {
    const { input, to } = this;
    let p = from;
    while (p < to) {
      const c = input[p]!;
      if (c !== 0x20 && c !== 0x0d && c !== 0x09) break;
      p += 1;
    }
    return p;
  }

  /** Checks the string whose first byte is at `p` and gives the position of its end quote. */
  private string(p: number): number {
    const end = stringEnd(this.input, p, this.to, this.at);
    if (end >= 0) return end;
    if (end === stringFault.utf8) {
      return this.fail('utf8', 'a string is not UTF-8', this.at.offset);
    }
    return this.fail('json-syntax', 'a string is broken', this.at.offset);
  }

  /** `node` is what the members are looked up in; null when none is wanted. */
  private object(from: number, node: PathNode | null, depth: number): number {
    if (depth > jsonDepthMax) return this.tooDeep(from);
    const { input } = this;
    let p = this.skipSpace(from + 1);
    if (p < this.to && input[p] === 0x7d) return p + 1;
    while (true) {
      if (p >= this.to || input[p] !== 0x22) {
        return this.fail('json-syntax', 'a member name is expected', p);
      }
      const keyStart = p + 1;
      const keyEnd = this.string(keyStart);
      if (keyEnd < 0) return -1;
      const child =
        node === null ? null : this.member(node, { keyStart, keyEnd, escaped: this.at.escaped });
      p = this.skipSpace(keyEnd + 1);
      if (p >= this.to || input[p] !== 0x3a) {
        return this.fail('json-syntax', 'a colon is expected', p);
      }
      p = this.skipSpace(p + 1);
      if (child !== null) {
        p = this.wanted(p, { child, node: node!, keyStart, keyEnd, depth });
      } else {
        const start = p;
        p = this.value(start, null, depth);
        if (p >= 0 && node !== null && this.tracing) {
          this.trace('value', { node: -1, parent: node.id, keyStart, keyEnd, start, end: p });
        }
      }
      if (p < 0) return -1;
      p = this.skipSpace(p);
      const c = p < this.to ? input[p] : 0;
      if (c === 0x7d) return p + 1;
      if (c !== 0x2c) return this.fail('json-syntax', 'a comma or } is expected', p);
      p = this.skipSpace(p + 1);
    }
  }

  /** The wanted member of that name, or null. */
  private member(
    node: PathNode,
    key: { keyStart: number; keyEnd: number; escaped: boolean },
  ): PathNode | null {
    const { children } = node;
    const { keyStart: start, keyEnd: end } = key;
    const { input } = this;
    if (key.escaped) {
      // A string keeps lone surrogates apart from U+FFFD, as `JSON.parse` does.
      const text = new TextDecoder().decode(input.slice(start - 1, end + 1));
      const name: unknown = JSON.parse(text);
      return children.find((child) => child.key === name) ?? null;
    }
    for (let i = 0; i < children.length; i += 1) {
      const child = children[i]!;
      const { keyBytes } = child;
      if (keyBytes.length !== end - start) continue;
      let k = 0;
      while (k < keyBytes.length && keyBytes[k] === input[start + k]) k += 1;
      if (k === keyBytes.length) return child;
    }
    return null;
  }

  /** Reads the value of a wanted member and notes where it is. */
  private wanted(
    start: number,
    member: { child: PathNode; node: PathNode; keyStart: number; keyEnd: number; depth: number },
  ): number {
    const { child, node, keyStart, keyEnd, depth } = member;
    // The last of several members of one name counts, and takes all that was in the others along.
    this.clear(child);
    const isOpened = child.children.length > 0 && this.input[start] === 0x7b;
    const step = { node: child.id, parent: node.id, keyStart, keyEnd, start, end: start };
    if (isOpened && this.tracing) this.trace('open', step);
    const end = isOpened ? this.object(start, child, depth + 1) : this.value(start, null, depth);
    if (end < 0) return -1;
    if (!isOpened && this.tracing) this.trace('value', { ...step, end });
    const form = formAt(this.input[start]!);
    const escaped = form === 'string' && this.at.escaped;
    for (const index of child.fields) {
      const found = this.found[index]!;
      found.form = form;
      found.escaped = escaped;
      found.start = form === 'string' ? start + 1 : start;
      found.end = form === 'string' ? end - 1 : end;
    }
    return end;
  }

  private trace(kind: 'open' | 'value', step: Omit<LayoutStep, 'kind' | 'form'>): void {
    this.steps.push({ kind, form: formAt(this.input[step.start]!), ...step });
  }

  private value(p: number, node: PathNode | null, depth: number): number {
    const c = p < this.to ? this.input[p]! : 0;
    switch (c) {
      case 0x22: {
        const end = this.string(p + 1);
        return end < 0 ? -1 : end + 1;
      }
      case 0x7b:
        return this.object(p, node, depth + 1);
      case 0x5b:
        return this.array(p, depth + 1);
      case 0x74:
        return this.word(p, 'true');
      case 0x66:
        return this.word(p, 'false');
      case 0x6e:
        return this.word(p, 'null');
      default: {
        if (c !== 0x2d && (c < 0x30 || c > 0x39)) {
          return this.fail('json-syntax', 'a value is expected', p);
        }
        const end = numberEnd(this.input, p, this.to);
        return end < 0 ? this.fail('json-syntax', 'a number is broken', ~end) : end;
      }
    }
  }

  private array(from: number, depth: number): number {
    if (depth > jsonDepthMax) return this.tooDeep(from);
    let p = this.skipSpace(from + 1);
    if (p < this.to && this.input[p] === 0x5d) return p + 1;
    while (true) {
      p = this.value(p, null, depth);
      if (p < 0) return -1;
      p = this.skipSpace(p);
      const c = p < this.to ? this.input[p] : 0;
      if (c === 0x5d) return p + 1;
      if (c !== 0x2c) return this.fail('json-syntax', 'a comma or ] is expected', p);
      p = this.skipSpace(p + 1);
    }
  }

  private word(p: number, word: string): number {
    for (let i = 0; i < word.length; i += 1) {
      if (p + i >= this.to || this.input[p + i] !== word.charCodeAt(i)) {
        return this.fail('json-syntax', 'a value is expected', p);
      }
    }
    return p + word.length;
  }

  private tooDeep(p: number): number {
    return this.fail('json-depth', `the record nests deeper than ${jsonDepthMax}`, p);
  }
}

function formAt(c: number): ValueForm {
  switch (c) {
    case 0x22:
      return 'string';
    case 0x7b:
    case 0x5b:
      return 'nested';
    case 0x74:
      return 'true';
    case 0x66:
      return 'false';
    case 0x6e:
      return 'null';
    default:
      return 'number';
  }
}
