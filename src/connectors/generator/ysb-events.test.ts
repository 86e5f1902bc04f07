import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ysbAdTypes, ysbEventBytesMax, ysbEventTypes, YsbEventWriter } from './ysb-events.ts';
import type { YsbShape } from './ysb-events.ts';

const shape: YsbShape = { seed: 7, eventsPerSecond: 1000, campaigns: 100, adsPerCampaign: 10 };
const startMs = 1_790_000_000_123;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const writer = new YsbEventWriter(shape, startMs);

function write(first: number, step: number, count: number): string[] {
  const target = new DataView(new ArrayBuffer(count * ysbEventBytesMax + 256));
  const end = writer.write(target, { first, step, count }, Infinity);
  const text = new TextDecoder().decode(new Uint8Array(target.buffer, 0, end));
  assert.ok(text.endsWith('\n'));
  assert.equal(writer.nextIndex, first + step * count);
  return text.split('\n').slice(0, -1);
}

test('YsbEventWriter: events are JSON of the benchmark with their due time', () => {
  const lines = write(0, 1, 3000);
  const types = new Map<string, number>();
  lines.forEach((line, index) => {
    const event = JSON.parse(line) as Record<string, string>;
    assert.deepEqual(Object.keys(event), [
      'user_id',
      'page_id',
      'ad_id',
      'ad_type',
      'event_type',
      'event_time',
      'ip_address',
    ]);
    for (const id of ['user_id', 'page_id', 'ad_id']) assert.match(event[id] ?? '', uuid);
    assert.ok(ysbAdTypes.some((type) => type === event.ad_type));
    assert.ok(ysbEventTypes.some((type) => type === event.event_type));
    assert.equal(event.event_time, String(startMs + index));
    assert.equal(event.ip_address, '1.2.3.4');
    types.set(event.event_type ?? '', (types.get(event.event_type ?? '') ?? 0) + 1);
  });
  for (const count of types.values()) assert.ok(Math.abs(count - 1000) < 100, `${count}`);
  assert.equal(new Set(lines.map((line) => line.slice(12, 20))).size, 3000);
});

test('YsbEventWriter: an event depends on its index alone', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.nat(2 ** 32 - 1000),
        fc.nat(10 ** 9).map((n) => n + 2 ** 34),
      ),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 40 }),
      (first, step, count) => {
        const lines = write(first, step, count);
        const alone = lines.map((_, i) => write(first + i * step, 1, 1)[0]);
        assert.deepEqual(lines, alone);
      },
    ),
    { numRuns: 50 },
  );
});

test('YsbEventWriter: stops at the first event that passes bytesMax', () => {
  const target = new DataView(new ArrayBuffer(2048));
  const end = writer.write(target, { first: 5, step: 2, count: 1000 }, 600);
  assert.ok(end >= 600 && end < 600 + ysbEventBytesMax);
  assert.equal(writer.nextIndex, 5 + 2 * 3);
});

test('YsbEventWriter: stops where the hashes of 2³² events end and goes on behind', () => {
  const target = new DataView(new ArrayBuffer(8192));
  writer.write(target, { first: 2 ** 32 - 3, step: 2, count: 10 }, Infinity);
  assert.equal(writer.nextIndex, 2 ** 32 + 1);
});
