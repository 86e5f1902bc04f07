// Values of an answer, read one after the other. Everything in Kafka's "flexible" notation, see
// request-writer.ts. Reading past the end throws, as damaged bytes must.

export class AnswerReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  int8(): number {
    this.#at += 1;
    return this.#bytes.readInt8(this.#at - 1);
  }

  int16(): number {
    this.#at += 2;
    return this.#bytes.readInt16BE(this.#at - 2);
  }

  int32(): number {
    this.#at += 4;
    return this.#bytes.readInt32BE(this.#at - 4);
  }

  /** Offsets, ids and times stay far below 2^53. */
  int64(): number {
    this.#at += 8;
    const high = this.#bytes.readInt32BE(this.#at - 8);
    return high * 4_294_967_296 + this.#bytes.readUInt32BE(this.#at - 4);
  }

  boolean(): boolean {
    return this.int8() !== 0;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes.readUInt8(this.#at++);
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new Error('a varint of more than five bytes');
  }

  text(): string {
    return this.nullableText() ?? '';
  }

  nullableText(): string | null {
    const length = this.varint() - 1;
    if (length < 0) return null;
    return this.#take(length).toString('utf8');
  }

  /** Tagged fields: what is not read of one is passed over. */
  tags(read: (tag: number) => void): void {
    for (let left = this.varint(); left > 0; left--) {
      const tag = this.varint();
      const bytes = this.varint();
      const end = this.#at + bytes;
      read(tag);
      this.#at = end;
    }
  }

  uuid(): string {
    const hex = this.#take(16).toString('hex');
    const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
    return [...parts, hex.slice(20)].join('-');
  }

  /** The items' own tagged fields are read by `read`. Null counts as empty. */
  array<Item>(read: () => Item): Item[] {
    const count = this.varint() - 1;
    const items: Item[] = [];
    for (let index = 0; index < count; index++) items.push(read());
    return items;
  }

  /** A view of the answer, not a copy. */
  records(): Uint8Array {
    const length = this.varint() - 1;
    if (length <= 0) return new Uint8Array(0);
    const { buffer, byteOffset } = this.#take(length);
    return new Uint8Array(buffer, byteOffset, length);
  }

  skipTags(): void {
    for (let count = this.varint(); count > 0; count--) {
      this.varint();
      this.#take(this.varint());
    }
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new Error('an answer that ends too early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
