// UTF-8 to JavaScript strings and back, quick for the short ASCII strings that rows are made of:
// the platform's coders cost 70 ns a call, twenty characters take 40 ns here. Broken UTF-8 reads as
// U+FFFD and lone surrogates are written as U+FFFD, as the platform's coders do.

/** Longer strings go to the platform's decoder. Measured: the two are level at 40 bytes. */
const shortBytesMax = 40;

/** One array for each length, filled anew for each string: `apply` needs the exact length. */
const codeUnits: readonly number[][] = Array.from({ length: shortBytesMax + 1 }, (_, length) =>
  new Array<number>(length).fill(0),
);

// A byte order mark inside a record is data.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The string whose UTF-8 is bytes[start, end). */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start;
  if (length > shortBytesMax) return decodeLong(bytes, start, end);
  const units = codeUnits[length]!;
  let all = 0;
  for (let index = 0; index < length; index++) {
    const unit = bytes[start + index]!;
    all |= unit;
    units[index] = unit;
  }
  if (all > 127) return decodeLong(bytes, start, end);
  return String.fromCharCode.apply(null, units);
}

function decodeLong(bytes: Uint8Array, start: number, end: number): string {
  // The decoder may refuse shared memory; `slice` copies out of it.
  return bytes.buffer instanceof ArrayBuffer
    ? decoder.decode(bytes.subarray(start, end))
    : decoder.decode(bytes.slice(start, end));
}

/** The most bytes that `text` can take in UTF-8. */
export function utf8BytesMax(text: string): number {
  return text.length * 3;
}

/** Writes `text` to `out` from `at` on, where `utf8BytesMax` bytes are free, and gives the end. */
export function encodeUtf8Into(text: string, out: Uint8Array, at: number): number {
  const length = text.length;
  for (let index = 0; index < length; index++) {
    let code = text.charCodeAt(index);
    if (code < 0x80) {
      out[at++] = code;
      continue;
    }
    if (code < 0x800) {
      out[at++] = 0xc0 | (code >> 6);
      out[at++] = 0x80 | (code & 0x3f);
      continue;
    }
    if (code >= 0xd800 && code < 0xe000) {
      const next = index + 1 < length ? text.charCodeAt(index + 1) : 0;
      if (code < 0xdc00 && next >= 0xdc00 && next < 0xe000) {
        index++;
        code = 0x10000 + ((code - 0xd800) << 10) + (next - 0xdc00);
        out[at++] = 0xf0 | (code >> 18);
        out[at++] = 0x80 | ((code >> 12) & 0x3f);
        out[at++] = 0x80 | ((code >> 6) & 0x3f);
        out[at++] = 0x80 | (code & 0x3f);
        continue;
      }
      code = 0xfffd;
    }
    out[at++] = 0xe0 | (code >> 12);
    out[at++] = 0x80 | ((code >> 6) & 0x3f);
    out[at++] = 0x80 | (code & 0x3f);
  }
  return at;
}

export function encodeUtf8(text: string): Uint8Array {
  const bytes = new Uint8Array(utf8BytesMax(text));
  return bytes.slice(0, encodeUtf8Into(text, bytes, 0));
}
