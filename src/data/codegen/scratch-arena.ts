// Where generated code puts the strings that an expression makes: bytes that live as long as the
// record. A kernel resets the arena before each record, so no string is allocated.

import { encodeUtf8Into, utf8BytesMax } from '../columnar/utf8.ts';
import type { CodeWriter } from './code.ts';

/** Growing replaces `bytes`; spans of the replaced buffer stay readable for those who hold it. */
export class ScratchArena {
  bytes: Uint8Array = new Uint8Array(1024);
  length = 0;

  reset(): void {
    this.length = 0;
  }

  append(source: Uint8Array, start: number, end: number): void {
    const to = this.length + end - start;
    if (to > this.bytes.length) this.grow(to);
    const bytes = this.bytes;
    const shift = this.length - start;
    for (let at = start; at < end; at++) bytes[shift + at] = source[at]!;
    this.length = to;
  }

  appendText(text: string): void {
    const most = this.length + utf8BytesMax(text);
    if (most > this.bytes.length) this.grow(most);
    this.length = encodeUtf8Into(text, this.bytes, this.length);
  }

  grow(length: number): void {
    const bytes = new Uint8Array(Math.max(length, this.bytes.length * 2));
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
  }
}

/** The name of the kernel's arena; all expressions of a kernel share one. */
export function arenaOf(writer: CodeWriter): string {
  for (const [name, value] of writer.scope) if (value instanceof ScratchArena) return name;
  return writer.constant('arena', new ScratchArena());
}
