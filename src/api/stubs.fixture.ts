// A source, a sink and schemas for the builder's tests; nothing here reads or writes.

import type { Sink } from '../ports/sink.ts';
import type { Source } from '../ports/source.ts';
import type { TypedSink, TypedSource } from '../ports/typed.ts';
import { boolean, float64, int32, int64, json, string, timestamp } from '../schema/column-type.ts';
import type { Schema } from '../schema/schema.ts';
import { schema } from '../schema/schema.ts';
import type { Columns } from '../schema/value-type.ts';
import { table } from './table.ts';

export const AdEvent = schema({
  ad_id: string(),
  event_type: string<'view' | 'click'>(),
  event_time: timestamp('ms'),
  user: { id: string(), age: int32().nullable() },
  price: float64(),
  quantity: int32(),
  balance: int64(),
  seen: boolean(),
  tags: json<string[]>(),
});

export const ads = table('ads', { ad_id: string(), campaign_id: string() }, [
  { ad_id: 'a1', campaign_id: 'c1' },
  { ad_id: 'a2', campaign_id: 'c2' },
]);

export function stubSource<C extends Columns>(rows: Schema<C>): TypedSource<C> {
  const source: Source = {
    kind: 'stub',
    description: 'nothing',
    format: { kind: 'json-lines' },
    replayable: true,
    partitions: () => Promise.reject(new Error('a stub')),
    open: () => Promise.reject(new Error('a stub')),
  };
  return { source, schema: rows };
}

export function stubSink<Row>(description = 'out'): TypedSink<Row> {
  const sink: Sink = {
    kind: 'stub',
    description,
    partitions: null,
    location: 'client',
    prepare: () => Promise.reject(new Error('a stub')),
    open: () => Promise.reject(new Error('a stub')),
    finish: () => Promise.reject(new Error('a stub')),
  };
  return sink;
}
