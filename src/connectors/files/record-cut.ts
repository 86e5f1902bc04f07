// Where records end: at line ends, and in CSV only at those outside quotes. Pure; the rules are the
// scanners', so that a cut never falls into a record.

const lineFeed = 10;
const quote = 34;

export type RecordFormat =
  | { readonly kind: 'jsonl' }
  | { readonly kind: 'csv'; readonly delimiter: number };

/** Where whole records end. */
export type Cuts = {
  /** The end of the last whole record of [start, end); `start` when there is none. */
  readonly last: number;
  /** Some record ends before `last`, rising, at most `gapBytes` apart where records allow it. */
  readonly inner: readonly number[] | null;
};

/** CSV keeps places to cut at about this far apart, since they cannot be found backwards. */
const gapBytes = 16_384;

/** `bytes[start]` is the first byte of a record. */
export function findCuts(
  bytes: Uint8Array,
  range: { readonly start: number; readonly end: number },
  format: RecordFormat,
): Cuts {
  const { start, end } = range;
  const firstQuote = format.kind === 'csv' ? bytes.subarray(start, end).indexOf(quote) : -1;
  if (format.kind === 'jsonl' || firstQuote === -1) {
    const last = end > start ? bytes.lastIndexOf(lineFeed, end - 1) : -1;
    return { last: last >= start ? last + 1 : start, inner: null };
  }
  return csvCuts(bytes, range, format.delimiter);
}

// A quote opens a quoted value only as the value's first byte; elsewhere it is text.
function csvCuts(
  bytes: Uint8Array,
  range: { readonly start: number; readonly end: number },
  delimiter: number,
): Cuts {
  const inner: number[] = [];
  const end = range.end;
  let last = range.start;
  let nextCut = range.start + gapBytes;
  let at = range.start;
  let valueStarts = true;
  while (at < end) {
    const byte = bytes[at];
    if (byte === quote && valueStarts) {
      at = behindQuoted(bytes, at + 1, end);
      valueStarts = false;
      continue;
    }
    at++;
    if (byte === lineFeed) {
      last = at;
      if (at >= nextCut) {
        inner.push(at);
        nextCut = at + gapBytes;
      }
    }
    valueStarts = byte === delimiter || byte === lineFeed;
  }
  return { last, inner };
}

/** The index behind the closing quote; `end` when it is not there yet. */
function behindQuoted(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end) {
    if (bytes[at] !== quote) at++;
    else if (at + 1 < end && bytes[at + 1] === quote) at += 2;
    else return at + 1;
  }
  return end;
}

/** The end of the first record that starts at `start`, or -1 when it is not whole. */
export function firstRecordEnd(
  bytes: Uint8Array,
  range: { readonly start: number; readonly end: number },
  format: RecordFormat,
): number {
  const { start, end } = range;
  let valueStarts = true;
  let at = start;
  while (at < end) {
    const byte = bytes[at];
    if (format.kind === 'csv' && byte === quote && valueStarts) {
      at = behindQuoted(bytes, at + 1, end);
      valueStarts = false;
      continue;
    }
    at++;
    if (byte === lineFeed) return at;
    valueStarts = format.kind === 'csv' && byte === format.delimiter;
  }
  return -1;
}

/** How long a byte order mark the file's first bytes hold: 3 or 0. */
export function markBytes([a, b, c]: Uint8Array): number {
  return a === 0xef && b === 0xbb && c === 0xbf ? 3 : 0;
}

/** The values of a header line, quotes and line end taken off. */
export function headerNames(text: string, delimiter: string): string[] {
  const names: string[] = [];
  const line = text.replace(/\r?\n$/, '');
  let at = 0;
  for (;;) {
    let name = '';
    if (line[at] === '"') {
      at++;
      for (; at < line.length; at++) {
        if (line[at] !== '"') name += line[at];
        else if (line[at + 1] === '"') name += line[at++];
        else break;
      }
      at++;
    }
    const end = line.indexOf(delimiter, at);
    names.push(name + line.slice(at, end === -1 ? line.length : end));
    if (end === -1) return names;
    at = end + delimiter.length;
  }
}
