// Measures the record scanners on one core: Yahoo Streaming Benchmark events as JSON lines, against
// the same fields read by `JSON.parse`, interleaved. Layouts that the scan cannot foresee come too.

import { compileJsonScanner } from '../src/data/codegen/json-scanner.ts';
import type { Scanner, ScanSpec } from '../src/data/codegen/scanner.ts';
import { print, spread, spreadText } from './figures.ts';
import type { BenchOptions } from './main.ts';

const eventCount = 200_000;
const rounds = 9;
const nowMs = 1_700_000_100_000;

const spec: ScanSpec = {
  fields: [
    { name: 'ad_id', path: ['ad_id'], type: { kind: 'string' }, nullable: false },
    { name: 'event_type', path: ['event_type'], type: { kind: 'string' }, nullable: false },
    {
      name: 'event_time',
      path: ['event_time'],
      type: { kind: 'timestamp', encoding: 'ms' },
      nullable: false,
    },
  ],
  timeField: 2,
  equals: [{ field: 1, value: 'view' }],
  timeAheadMsMax: 86_400_000,
};

/** Every type, nesting, spaces, floats with all their digits: what no benchmark is tuned for. */
const mixedSpec: ScanSpec = {
  fields: [
    { name: 'id', path: ['id'], type: { kind: 'int64' }, nullable: false },
    { name: 'event_type', path: ['event_type'], type: { kind: 'string' }, nullable: true },
    { name: 'ad_id', path: ['user', 'ad_id'], type: { kind: 'string' }, nullable: true },
    { name: 'lat', path: ['user', 'geo', 'lat'], type: { kind: 'float64' }, nullable: true },
    { name: 'price', path: ['price'], type: { kind: 'float64' }, nullable: true },
    {
      name: 'event_time',
      path: ['event_time'],
      type: { kind: 'timestamp', encoding: 'iso' },
      nullable: false,
    },
  ],
  timeField: 5,
  equals: [{ field: 1, value: 'view' }],
  timeAheadMsMax: 86_400_000,
};

function mixedText(event: Record<string, string>, pick: () => number): string {
  const record = {
    id: pick() * 1000,
    event_time: new Date(Number(event['event_time'])).toISOString(),
    event_type: event['event_type'],
    price: pick() % 3 === 0 ? null : (pick() % 100_000) / 100,
    user: { ad_id: event['ad_id'], geo: { lat: pick() / 2 ** 26, lon: 13.4 }, name: 'Jürgen' },
    tags: Array.from({ length: pick() % 4 }, () => ['a', { b: 1 }]),
  };
  return JSON.stringify(record).replaceAll(',"', ', "');
}

type Case = {
  readonly name: string;
  readonly input: Buffer;
  readonly spec: ScanSpec;
  readonly scanner: Scanner;
};
type Measured = { readonly seconds: number; readonly rows: number; readonly records: number };

function scanOnce({ input, scanner }: Case): Measured {
  const begin = process.hrtime.bigint();
  let rows = 0;
  let records = 0;
  let position = 0;
  while (position < input.length) {
    rows += scanner.scan(input, position, input.length, nowMs);
    records += scanner.records;
    position = scanner.position;
  }
  return { seconds: Number(process.hrtime.bigint() - begin) / 1e9, rows, records };
}

type MixedEvent = {
  readonly ad_id: string;
  readonly event_type: string;
  readonly event_time: string;
  readonly user: { readonly ad_id: string };
};

/** The job by hand: decode a line, parse it, look at the fields. */
function parseOnce({ input, spec: { fields } }: Case): Measured {
  const begin = process.hrtime.bigint();
  const isMixed = fields === mixedSpec.fields;
  let rows = 0;
  let records = 0;
  let timeMax = 0;
  let idBytes = 0;
  let start = 0;
  while (start < input.length) {
    const end = input.indexOf(10, start);
    const event = JSON.parse(input.toString('latin1', start, end)) as MixedEvent;
    const time = isMixed ? Date.parse(event.event_time) : Number(event.event_time);
    timeMax = Math.max(timeMax, time);
    records += 1;
    if (event.event_type === 'view') {
      rows += 1;
      idBytes += (isMixed ? event.user.ad_id : event.ad_id).length;
    }
    start = end + 1;
  }
  if (timeMax === 0 || idBytes === 0) throw new Error('no events');
  return { seconds: Number(process.hrtime.bigint() - begin) / 1e9, rows, records };
}

/** A small seeded generator: the same events in every run. */
function random32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    const mixed = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
    return (mixed ^ (mixed >>> 13)) >>> 0;
  };
}

function makeEvents(write: (event: Record<string, string>, pick: () => number) => string): Buffer {
  const pick = random32(42);
  const hex = (): string => pick().toString(16).padStart(8, '0');
  const uuid = (): string => {
    const [a, b, c, d] = [hex(), hex(), hex(), hex()];
    return `${a}-${b.slice(0, 4)}-4${b.slice(5)}-a${c.slice(1, 4)}-${c.slice(4)}${d}`;
  };
  const ads = Array.from({ length: 1000 }, uuid);
  const lines: string[] = [];
  for (let index = 0; index < eventCount; index += 1) {
    const event = {
      user_id: uuid(),
      page_id: uuid(),
      ad_id: ads[pick() % 1000]!,
      ad_type: ['banner', 'modal', 'sponsored-search', 'mail', 'mobile'][pick() % 5]!,
      event_type: ['view', 'click', 'purchase'][pick() % 3]!,
      event_time: String(1_700_000_000_000 + index),
      ip_address: '1.2.3.4',
    };
    lines.push(write(event, pick));
  }
  return Buffer.from(`${lines.join('\n')}\n`);
}

function shuffled(event: Record<string, string>, pick: () => number): string {
  const members = Object.entries(event);
  for (let i = members.length - 1; i > 0; i -= 1) {
    const j = pick() % (i + 1);
    [members[i], members[j]] = [members[j]!, members[i]!];
  }
  return JSON.stringify(Object.fromEntries(members));
}

const layouts = [
  { name: 'ysb', write: (event: Record<string, string>) => JSON.stringify(event) },
  {
    name: 'ysb, spaced',
    write: (event: Record<string, string>) =>
      JSON.stringify(event).replaceAll('":"', '": "').replaceAll('","', '", "'),
  },
  { name: 'ysb, members in random order', write: shuffled },
  {
    name: 'ysb, every 10th with an escape',
    write: (event: Record<string, string>, pick: () => number) =>
      pick() % 10 === 0
        ? JSON.stringify(event).replace('"ad_id":"', '"ad_id":"\\u0061')
        : JSON.stringify(event),
  },
];

function measure(one: Case) {
  const scans: number[] = [];
  const parses: number[] = [];
  scanOnce(one);
  const check = parseOnce(one);
  for (let round = 0; round < rounds; round += 1) {
    const scan = scanOnce(one);
    if (scan.rows !== check.rows || scan.records !== check.records) throw new Error('they differ');
    scans.push(scan.seconds);
    parses.push(parseOnce(one).seconds);
  }
  return {
    name: one.name,
    eventsPerSecond: spread(scans.map((seconds) => eventCount / seconds)),
    gigabytesPerSecond: spread(scans.map((seconds) => one.input.length / seconds / 1e9)),
    parseEventsPerSecond: spread(parses.map((seconds) => eventCount / seconds)),
    ratio: spread(scans.map((seconds, round) => parses[round]! / seconds)),
  };
}

/** Heap that a million records leave behind, garbage that was not collected included. */
function heapGrowth(one: Case): number {
  const before = process.memoryUsage().heapUsed;
  for (let round = 0; round < 5; round += 1) scanOnce(one);
  return (process.memoryUsage().heapUsed - before) / (5 * eventCount);
}

export async function run(options: BenchOptions): Promise<void> {
  const inputs = layouts.map((layout) => ({ ...layout, spec }));
  inputs.push({ name: 'every type, nested', write: mixedText, spec: mixedSpec });
  const cases = inputs.map((one) => ({
    name: one.name,
    input: makeEvents(one.write),
    spec: one.spec,
    scanner: compileJsonScanner(one.spec),
  }));
  const results = cases.map(measure);
  const heapBytesPerRecord = heapGrowth(cases[0]!);
  const million = (events: number): string => `${(events / 1e6).toFixed(2)} M/s`;
  const lines = results.map(
    (result) =>
      `${result.name.padEnd(32)}${million(result.eventsPerSecond.median).padStart(10)}` +
      `  ${result.gigabytesPerSecond.median.toFixed(2)} GB/s` +
      `  JSON.parse ${million(result.parseEventsPerSecond.median)}` +
      `  ratio ${spreadText(result.ratio, 1)}`,
  );
  lines.push(
    `heap growth ${heapBytesPerRecord.toFixed(2)} bytes a record`,
    `${rounds} interleaved rounds of ${eventCount} events: median (least–greatest)`,
  );
  print(lines, options.json ? { results, heapBytesPerRecord } : null);
}
