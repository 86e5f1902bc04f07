// The events of the Yahoo Streaming Benchmark as real JSON bytes. Event i is a pure function of
// (seed, rate, start time, i), so any range can be written again. Writing is patching: a record is
// copied from one of 60 templates in 8-byte words and its ids and time are overwritten in place.

import { assert } from '../../base/assert.ts';
import { SeededRandom } from './seeded-random.ts';

export type YsbShape = {
  readonly seed: number;
  /** Of all partitions together. */
  readonly eventsPerSecond: number;
  readonly campaigns: number;
  readonly adsPerCampaign: number;
};

export const ysbAdTypes = ['banner', 'modal', 'sponsored-search', 'mail', 'mobile'] as const;
export const ysbEventTypes = ['view', 'click', 'purchase'] as const;

/** One template for each ad type and event type, four times with different ids. */
const templateCount = 60;
/** A power of two that holds the longest record, so that a template starts at a shift. */
const templateBytes = 256;
const uuidBytes = 36;
const timeDigits = 13;

/** No event is longer than this. */
export const ysbEventBytesMax = 252;

/**
 * Which event i is: event type = `template % 3`, ad = `ad`. The truth and the bytes both come from
 * here; all else in a record is decoration.
 */
export function ysbHash(index: number, salt: number): number {
  let h = (index ^ salt) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** A second hash of an event, independent enough of the first one's low bits. */
export function ysbHashAgain(hash: number): number {
  const h = Math.imul(hash ^ 0x9e3779b9, 0x27d4eb2d);
  return h ^ (h >>> 15);
}

/** The salt of events [n·2³², (n+1)·2³²): hashes take 32 bits of an index. */
export function ysbSalt(seed: number, index: number): number {
  return ysbHash(Math.floor(index / 2 ** 32), Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995);
}

export function ysbTemplateOf(hash: number): number {
  return ((hash & 0xffff) * templateCount) >>> 16;
}

export function ysbEventTypeOf(hash: number): number {
  return ysbTemplateOf(hash) % ysbEventTypes.length;
}

export function ysbAdOf(hash: number, adCount: number): number {
  return ((ysbHashAgain(hash) >>> 0) * (adCount / 2 ** 32)) | 0;
}

/** When event `index` is due, epoch ms with a fraction; the event's own time is its floor. */
export function ysbDueMs(index: number, startMs: number, eventsPerSecond: number): number {
  return startMs + (index * 1000) / eventsPerSecond;
}

/** The ids a seed gives: campaigns in order, ads in order (ad a belongs to a / adsPerCampaign). */
export function ysbIds(shape: YsbShape): { campaignIds: string[]; adIds: string[] } {
  const random = new SeededRandom(shape.seed);
  const campaignIds = Array.from({ length: shape.campaigns }, () => random.uuid());
  const adCount = shape.campaigns * shape.adsPerCampaign;
  const adIds = Array.from({ length: adCount }, () => random.uuid());
  return { campaignIds, adIds };
}

/** Writes the bytes of events. */
export class YsbEventWriter {
  readonly #shape: YsbShape;
  readonly #startMs: number;
  readonly #tables: Tables;
  /** Index of the first event that the last `write` did not write. */
  nextIndex = 0;

  constructor(shape: YsbShape, startMs: number) {
    this.#shape = shape;
    this.#startMs = startMs;
    this.#tables = buildTables(shape);
  }

  /**
   * Writes events first, first + step, … into `target` from 0 on until `count` are written or
   * `bytesMax` is passed, and gives the end. `target` has room for `bytesMax` and one template.
   */
  write(target: DataView, events: EventRange, bytesMax: number): number {
    const { first, step, count } = events;
    assert(
      target.byteLength >= Math.min(bytesMax, count * ysbEventBytesMax) + templateBytes,
      'the target has room for the events',
    );
    // A salt holds for 2³² events; a call that crosses that border stops there.
    const border = (Math.floor(first / 2 ** 32) + 1) * 2 ** 32;
    const beyond = Math.min(first + count * step, border);
    const end = writeEvents(target, this.#tables, {
      first,
      step,
      beyond,
      bytesMax,
      salt: ysbSalt(this.#shape.seed, first),
      startMs: this.#startMs,
      eventsPerSecond: this.#shape.eventsPerSecond,
    });
    this.nextIndex = this.#tables.next;
    return end;
  }
}

export type EventRange = { readonly first: number; readonly step: number; readonly count: number };

type Tables = {
  /** `templateCount` records, `templateBytes` apart, as 8-byte words. */
  readonly words: Float64Array;
  readonly lengths: Int32Array;
  readonly timeAts: Int32Array;
  readonly userAt: number;
  readonly pageAt: number;
  readonly adAt: number;
  /** Each ad id is four 8-byte words and one of 4 bytes. */
  readonly adWords: Float64Array;
  readonly adTails: Int32Array;
  readonly adCount: number;
  /** Two hexadecimal digits for each byte. */
  readonly hex: Uint16Array;
  /** Where the last loop stopped. */
  next: number;
};

type WriteOrder = {
  readonly first: number;
  readonly step: number;
  readonly beyond: number;
  readonly bytesMax: number;
  readonly salt: number;
  readonly startMs: number;
  readonly eventsPerSecond: number;
};

// ASCII never spells a NaN (its highest byte is below 0x7f), so text may travel as doubles.
function writeEvents(target: DataView, tables: Tables, order: WriteOrder): number {
  const { words, lengths, timeAts, userAt, pageAt, adAt, adWords, adTails, hex } = tables;
  const { step, beyond, bytesMax, salt, startMs, eventsPerSecond } = order;
  const adScale = tables.adCount / 2 ** 32;
  let at = 0;
  let index = order.first;
  let timeMs = -1;
  let time0 = 0;
  let time1 = 0;
  let time2 = 0;
  let time3 = 0;
  for (; index < beyond && at < bytesMax; index += step) {
    const hash = ysbHash(index, salt);
    const template = ((hash & 0xffff) * templateCount) >>> 16;
    const again = ysbHashAgain(hash);
    const ad = ((again >>> 0) * adScale) | 0;
    const length = lengths[template];
    let word = template << 5;
    for (let to = at, end = at + length; to < end; to += 8) {
      target.setFloat64(to, words[word++], true);
    }
    const user = at + userAt;
    target.setUint16(user, hex[hash & 0xff], true);
    target.setUint16(user + 2, hex[(hash >>> 8) & 0xff], true);
    target.setUint16(user + 4, hex[(hash >>> 16) & 0xff], true);
    target.setUint16(user + 6, hex[hash >>> 24], true);
    const page = at + pageAt;
    target.setUint16(page, hex[again & 0xff], true);
    target.setUint16(page + 2, hex[(again >>> 8) & 0xff], true);
    const to = at + adAt;
    const adWord = ad << 2;
    target.setFloat64(to, adWords[adWord], true);
    target.setFloat64(to + 8, adWords[adWord + 1], true);
    target.setFloat64(to + 16, adWords[adWord + 2], true);
    target.setFloat64(to + 24, adWords[adWord + 3], true);
    target.setInt32(to + 32, adTails[ad], true);
    const dueMs = Math.floor(startMs + (index * 1000) / eventsPerSecond);
    if (dueMs !== timeMs) {
      timeMs = dueMs;
      const high = Math.floor(dueMs / 1e6);
      const low = dueMs - high * 1e6;
      time0 = fourDigits((high / 1000) | 0);
      time1 = fourDigits(high % 1000);
      time2 = fourDigits((low / 1000) | 0);
      time3 = fourDigits(low % 1000);
    }
    // Thirteen digits as 4 + 3 + 3 + 3: the first byte of the last three words is overwritten.
    const timeAt = at + timeAts[template];
    target.setInt32(timeAt + 9, time3, true);
    target.setInt32(timeAt + 6, time2, true);
    at += length;
    target.setInt32(timeAt + 3, time1, true);
    target.setInt32(timeAt, time0, true);
  }
  tables.next = index;
  return at;
}

/** The digits of 0–9999 as text, in a little-endian word. */
function fourDigits(value: number): number {
  const a = (value / 1000) | 0;
  const b = ((value / 100) | 0) % 10;
  const c = ((value / 10) | 0) % 10;
  const d = value % 10;
  return 0x30303030 | a | (b << 8) | (c << 16) | (d << 24);
}

function buildTables(shape: YsbShape): Tables {
  const { adIds } = ysbIds(shape);
  const random = new SeededRandom(shape.seed + 1);
  const bytes = new Uint8Array(templateCount * templateBytes);
  const lengths = new Int32Array(templateCount);
  const timeAts = new Int32Array(templateCount);
  const parts = ['{"user_id":"', '","page_id":"', '","ad_id":"', '","ad_type":"'] as const;
  const userAt = parts[0].length;
  const pageAt = userAt + uuidBytes + parts[1].length;
  const adAt = pageAt + uuidBytes + parts[2].length;
  for (let template = 0; template < templateCount; template++) {
    const eventType = ysbEventTypes[template % ysbEventTypes.length];
    const adType = ysbAdTypes[Math.floor(template / ysbEventTypes.length) % ysbAdTypes.length];
    const ids = parts.slice(1).map((part) => random.uuid() + part);
    const head = `${parts[0]}${ids.join('')}${adType}","event_type":"${eventType}","event_time":"`;
    const text = `${head}${'0'.repeat(timeDigits)}","ip_address":"1.2.3.4"}\n`;
    assert(text.length <= ysbEventBytesMax, 'a template has room for the record');
    bytes.set(new TextEncoder().encode(text), template * templateBytes);
    lengths[template] = text.length;
    timeAts[template] = head.length;
  }
  const adBytes = new TextEncoder().encode(adIds.map((id) => id.slice(0, 32)).join(''));
  const tails = new TextEncoder().encode(adIds.map((id) => id.slice(32)).join(''));
  const digits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
  return {
    words: new Float64Array(bytes.buffer),
    lengths,
    timeAts,
    userAt,
    pageAt,
    adAt,
    adWords: new Float64Array(adBytes.slice().buffer),
    adTails: new Int32Array(tails.slice().buffer),
    adCount: adIds.length,
    hex: new Uint16Array(new TextEncoder().encode(digits.join('')).slice().buffer),
    next: 0,
  };
}
