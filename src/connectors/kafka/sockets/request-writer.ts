// Bytes of a request in Kafka's own notation, its "flexible" one: lengths are varints that count
// one more, 0 is null, and every structure ends in tagged fields. Records are not copied.
// [https://kafka.apache.org/protocol#protocol_types]

const textEncoder = new TextEncoder();

export class RequestWriter {
  #bytes: Buffer = Buffer.allocUnsafeSlow(256);
  #length = 0;
  /** Parts that are done, in order, in front of `#bytes`. */
  readonly #parts: Uint8Array[] = [];
  #partsBytes = 0;

  int8(value: number): this {
    this.#length = this.#room(1).writeInt8(value, this.#length);
    return this;
  }

  int16(value: number): this {
    this.#length = this.#room(2).writeInt16BE(value, this.#length);
    return this;
  }

  int32(value: number): this {
    this.#length = this.#room(4).writeInt32BE(value, this.#length);
    return this;
  }

  int64(value: number): this {
    this.#length = this.#room(8).writeBigInt64BE(BigInt(value), this.#length);
    return this;
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0);
  }

  varint(value: number): this {
    const bytes = this.#room(5);
    let rest = value;
    while (rest > 127) {
      bytes[this.#length++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    bytes[this.#length++] = rest;
    return this;
  }

  text(value: string | null): this {
    if (value === null) return this.varint(0);
    const bytes = textEncoder.encode(value);
    return this.varint(bytes.length + 1).raw(bytes);
  }

  /** As in the header of requests, which is of the older notation. */
  shortText(value: string): this {
    const bytes = textEncoder.encode(value);
    return this.int16(bytes.length).raw(bytes);
  }

  uuid(value: string): this {
    return this.raw(Buffer.from(value.replaceAll('-', ''), 'hex'));
  }

  array<Item>(items: readonly Item[] | null, write: (item: Item) => void): this {
    this.varint(items === null ? 0 : items.length + 1);
    for (const item of items ?? []) write(item);
    return this;
  }

  noTags(): this {
    return this.varint(0);
  }

  raw(bytes: Uint8Array): this {
    this.#room(bytes.length).set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** Refers to the bytes, which must stay as they are until the request is answered. */
  records(bytes: Uint8Array): this {
    this.varint(bytes.length + 1);
    this.#cut();
    this.#parts.push(bytes);
    this.#partsBytes += bytes.length;
    return this;
  }

  /** With the length in front that every request has. */
  finish(): readonly Uint8Array[] {
    this.#cut();
    const length = Buffer.allocUnsafeSlow(4);
    length.writeInt32BE(this.#partsBytes);
    const [first, ...others] = this.#parts;
    if (others.length > 0) return [length, first!, ...others];
    return [Buffer.concat([length, first!])];
  }

  #cut(): void {
    this.#parts.push(this.#bytes.subarray(0, this.#length));
    this.#partsBytes += this.#length;
    this.#bytes = this.#bytes.subarray(this.#length);
    this.#length = 0;
  }

  #room(bytes: number): Buffer {
    if (this.#length + bytes > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(256, (this.#length + bytes) * 2));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    return this.#bytes;
  }
}
