// What may change between two versions of a pipeline, and what people are told of the rest.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { count, max, sum } from '../api/aggregates.ts';
import { pipeline } from '../api/pipeline.ts';
import type { Pipeline } from '../api/pipeline.ts';
import { hopping, session, tumbling } from '../api/windows.ts';
import { jsonLines } from '../connectors/files/file-sink.ts';
import { files } from '../connectors/files/files.ts';
import { float64, int32, string, timestamp } from '../schema/column-type.ts';
import { schema } from '../schema/schema.ts';
import type { Compatibility } from './plan-compatibility.ts';
import { matchSources, planCompatibility } from './plan-compatibility.ts';
import { partitionCountsOf } from './partition-counts.ts';
import { planPhysical } from './plan-physical.ts';
import { planStructure } from './plan-structure.ts';
import type { PlanStructure } from './plan-structure.ts';
import type { SourceId } from './logical-plan.ts';

const Order = schema({ country: string(), price: float64(), items: int32(), at: timestamp('ms') });

type Options = { readonly partitions?: number; readonly sourcePartitions?: number };

function structureOf(of: Pipeline, { partitions = 4, sourcePartitions = 3 }: Options = {}) {
  const logical = of.plan();
  const counts = new Map<SourceId, number>(logical.sources.map(({ id }) => [id, sourcePartitions]));
  const plan = planPhysical(logical, { partitions, sourcePartitions: counts });
  return planStructure(
    plan,
    partitionCountsOf(plan, () => sourcePartitions),
  );
}

function orders(path = 'orders.jsonl', name?: string) {
  const named = name === undefined ? {} : { name };
  return pipeline('shop').from(files({ path, schema: Order }), { time: 'at', ...named });
}

const hour = tumbling('1h');

function totals(rows = orders()) {
  return rows
    .groupBy('country')
    .window(hour)
    .aggregate((e) => ({ orders: count(), revenue: sum(e.price) }));
}

const first = totals().to(jsonLines('out/'));

type Asked = { readonly dropsState?: boolean; readonly empty?: readonly number[] };

function ask(before: PlanStructure, now: PlanStructure, asked: Asked = {}): Compatibility {
  const { dropsState = false, empty = [] } = asked;
  return planCompatibility(before, now, {
    dropsState,
    batch: 40,
    hasState: (stage) => !empty.includes(stage),
  });
}

function compatible(before: PlanStructure, now: PlanStructure, asked?: Asked) {
  const found = ask(before, now, asked);
  assert.equal(found.kind, 'compatible', JSON.stringify(found));
  assert.ok(found.kind === 'compatible');
  const { stages, sources, ledgers, newSinks, notes, replayHazard } = found;
  return {
    stages: stages
      .map(({ from, to, isSame }) => `${from.stage}${isSame ? '=' : '~'}${to.stage}`)
      .join(' '),
    sources: [...sources].map((pair) => pair.join('<')).join(' '),
    ledgers,
    newSinks,
    notes,
    replayHazard,
  };
}

function refused(before: PlanStructure, now: PlanStructure, asked?: Asked) {
  const found = ask(before, now, asked);
  assert.ok(found.kind === 'incompatible', 'it is refused');
  return found;
}

const all = {
  sources: 'source#0<source#0',
  ledgers: {},
  newSinks: [] as readonly string[],
  notes: [],
  replayHazard: null,
};

test('a plan goes on from its own checkpoint with all that it has', () => {
  const before = structureOf(first);
  assert.deepEqual(compatible(before, before), { ...all, stages: '0=0 1=1' });
});

test('what keeps nothing may come, go and change', () => {
  const before = structureOf(first);
  const rows = orders()
    .filter((e) => e.items.gt(0))
    .select((e) => ({
      country: e.country.lower(),
      price: e.price.mul(100),
      items: e.items,
      at: e.at,
    }));
  const changed = totals(rows as ReturnType<typeof orders>).filter((e) => e.orders.gt(1));
  assert.deepEqual(compatible(before, structureOf(changed.to(jsonLines('out/')))), {
    ...all,
    stages: '0=0 1=1',
  });
});

test('names of columns that come out may change, and a column may become nullable', () => {
  const before = structureOf(first);
  const renamed = orders()
    .groupBy((e) => ({ land: e.country }))
    .window(hour)
    .aggregate((e) => ({ count: count(), turnover: sum(e.price) }));
  const { stages, notes } = compatible(before, structureOf(renamed.to(jsonLines('out/'))));
  assert.equal(stages, '0=0 1=1');
  const window = 'windowStart timestamp, windowEnd timestamp';
  assert.deepEqual(notes, [
    `sink "sink#0" got rows of country string, ${window}, orders float64, revenue float64, ` +
      `and gets rows of land string, ${window}, count float64, turnover float64 now`,
  ]);
  const country = string().nullable();
  const Nullable = schema({ country, price: float64(), at: timestamp('ms') });
  const source = files({ path: 'orders.jsonl', schema: Nullable });
  const loose = pipeline('shop')
    .from(source, { time: 'at' })
    .groupBy('country')
    .window(hour)
    .aggregate((e) => ({ orders: count(), revenue: sum(e.price) }))
    .to(jsonLines('out/'));
  assert.equal(compatible(before, structureOf(loose)).stages, '0=0 1=1');
  assert.equal(
    refused(structureOf(loose), before).difference,
    'operator "aggregate#0" had the key country = country: string?, ' +
      'and has country = country: string now',
  );
});

test('a side output for late rows may come and go, and what is emitted may change', () => {
  const before = structureOf(first);
  const late = totals().lateTo(jsonLines('late/')).to(jsonLines('out/'));
  const { stages, replayHazard } = compatible(before, structureOf(late));
  assert.deepEqual([stages, replayHazard], ['0=0 1=1', null]);
  assert.equal(compatible(structureOf(late), before).stages, '0=0 1=1');
});

test('operators with state are found again behind others that have come before them', () => {
  const before = structureOf(first);
  const rows = orders();
  const byItems = rows
    .groupBy('items')
    .window(hour)
    .aggregate(() => ({ orders: count() }))
    .to(jsonLines('items/'));
  const after = byItems.with(totals(rows).to(jsonLines('out/')));
  const found = compatible(before, structureOf(after));
  assert.equal(found.sources, 'source#0<source#0');
  assert.equal(found.stages, '0=0 1~2');
  assert.deepEqual(found.ledgers, { 'sink#0': 'sink#0@41', 'sink#1': 'sink#0' });
  assert.deepEqual(found.newSinks, ['sink#0']);
});

test('a name may be given to what had none', () => {
  const before = structureOf(first);
  const named = totals(orders('orders.jsonl', 'orders'))
    .named('totals')
    .to(jsonLines('out/'), { name: 'results' });
  assert.deepEqual(compatible(before, structureOf(named)), {
    ...all,
    sources: 'orders<source#0',
    stages: '0~0 1~1',
    ledgers: { results: 'sink#0' },
    replayHazard: 'source "source#0" is called "orders" now',
  });
});

test('a changed aggregate is refused with what it was and what it is', () => {
  const before = structureOf(first);
  const of = (now: Pipeline): string => {
    const { name, difference } = refused(before, structureOf(now));
    assert.equal(name, 'aggregate#0');
    return difference.replace('operator "aggregate#0" ', '');
  };
  const sink = () => jsonLines('out/');
  const rows = orders();
  const byCountry = rows.groupBy('country');
  const results = [
    byCountry.window(hour).aggregate((e) => ({ orders: count(), revenue: max(e.price) })),
    byCountry.window(hour).aggregate((e) => ({ orders: count(), revenue: sum(e.items) })),
    byCountry.window(hour).aggregate((e) => ({ revenue: sum(e.price), orders: count() })),
    byCountry.window(hour).aggregate(() => ({ orders: count() })),
    byCountry
      .window(hour)
      .aggregate((e) => ({ orders: count(), revenue: sum(e.price), most: max(e.price) })),
    byCountry.window(tumbling('1m')).aggregate((e) => ({ orders: count(), revenue: sum(e.price) })),
    byCountry
      .window(hour, { allowedLateness: '5s' })
      .aggregate((e) => ({ orders: count(), revenue: sum(e.price) })),
    byCountry.aggregate((e) => ({ orders: count(), revenue: sum(e.price) })),
    rows
      .groupBy('country', 'items')
      .window(hour)
      .aggregate((e) => ({ orders: count(), revenue: sum(e.price) })),
    rows
      .groupBy((e) => ({ country: e.country.lower() }))
      .window(hour)
      .aggregate((e) => ({ orders: count(), revenue: sum(e.price) })),
  ].map((now) => of(now.to(sink())));
  const revenue = 'revenue = sum(price: float64): float64';
  assert.deepEqual(results, [
    `had the aggregate ${revenue}, and has revenue = max(price: float64): float64 now`,
    `had the aggregate ${revenue}, and has revenue = sum(items: int32): float64 now`,
    `had the aggregate orders = count(): float64, and has ${revenue} now`,
    `had the aggregate ${revenue}, and has it no more`,
    'has the aggregate most = max(price: float64): float64, which it had not',
    'had windows {"kind":"tumbling","offsetMs":0,"sizeMs":3600000}, ' +
      'and has {"kind":"tumbling","offsetMs":0,"sizeMs":60000} now',
    'had allowed lateness 0 ms, and has 5000 ms now',
    'had windows {"kind":"tumbling","offsetMs":0,"sizeMs":3600000}, and has {"kind":"global"} now',
    'has the key items = items: int32, which it had not',
    'had the key country = country: string, and has country = lower(country): string now',
  ]);
});

test('another event time is another state', () => {
  const TwoTimes = schema({ country: string(), at: timestamp('ms'), paid: timestamp('ms') });
  const of = (time: 'at' | 'paid') =>
    structureOf(
      pipeline('shop')
        .from(files({ path: 'orders.jsonl', schema: TwoTimes }), { time })
        .groupBy('country')
        .window(hour)
        .aggregate(() => ({ orders: count() }))
        .to(jsonLines('out/')),
    );
  assert.equal(
    refused(of('at'), of('paid')).difference,
    'operator "aggregate#0" had event time at, and has paid now',
  );
});

test('state that nobody takes over is dropped only on request, and said to be', () => {
  const before = structureOf(first);
  const raw = structureOf(orders().to(jsonLines('raw/')));
  assert.deepEqual(refused(before, raw), {
    kind: 'incompatible',
    name: 'aggregate#0',
    difference: 'operator "aggregate#0", which has state (orders, revenue), is gone',
    remedy:
      'put it back as it was, or let the state go with --allow-dropped-state ' +
      '(`allowDroppedState: true`)',
  });
  const found = compatible(before, raw, { dropsState: true });
  assert.equal(found.stages, '0=0');
  assert.deepEqual(found.notes, [
    'dropped state: operator "aggregate#0", which has state (orders, revenue), is gone',
  ]);
  const minutes = orders()
    .groupBy('country')
    .window(tumbling('1m'))
    .aggregate((e) => ({ orders: count(), revenue: sum(e.price) }))
    .to(jsonLines('out/'));
  const changed = compatible(before, structureOf(minutes), { dropsState: true });
  assert.equal(changed.stages, '0=0');
  assert.match(changed.notes.join(), /^dropped state: operator "aggregate#0" had windows /);
  assert.match(changed.replayHazard!, /^operator "aggregate#0" had windows /);
});

test('an operator that has kept nothing yet is missed by nobody', () => {
  const raw = structureOf(orders().to(jsonLines('raw/')));
  const found = compatible(structureOf(first), raw, { empty: [1] });
  assert.deepEqual([found.stages, found.notes], ['0=0', []]);
});

test('who renames an operator that has a name is told which names there are', () => {
  const before = structureOf(totals().named('totals').to(jsonLines('out/')));
  const after = structureOf(totals().named('sums').to(jsonLines('out/')));
  const { difference, remedy } = refused(before, after);
  assert.equal(difference, 'operator "totals", which has state (orders, revenue), is gone');
  assert.match(remedy, /^put it back as it was \(there are "sums"\), or /);
});

test('operators that are alike and have no names come with a warning', () => {
  const both = (rows: ReturnType<typeof orders>) => {
    const cheap = totals(rows.filter((e) => e.price.lt(10))).to(jsonLines('cheap/'));
    return cheap.with(totals(rows.filter((e) => e.price.ge(10))).to(jsonLines('dear/')));
  };
  const before = structureOf(both(orders()));
  const found = compatible(before, structureOf(both(orders().filter((e) => e.items.gt(0)))));
  assert.equal(found.stages, '0=0 1=1 2=2');
  assert.deepEqual(found.notes, [
    'operators "aggregate#0" and "aggregate#1" are alike: if the change has put them in another ' +
      'order, each now has the state of the other; name them with .named()',
  ]);
});

test('an operator without a name has the state only of the sources that feed it', () => {
  const from = (fed: 'a' | 'b') => {
    const a = orders('a.jsonl', 'a');
    const b = orders('b.jsonl', 'b');
    const raw = (fed === 'a' ? b : a).to(jsonLines('raw/'));
    return structureOf(
      totals(fed === 'a' ? a : b)
        .to(jsonLines('out/'))
        .with(raw),
    );
  };
  assert.equal(
    refused(from('a'), from('b')).difference,
    'operator "aggregate#0" took rows of "a", and takes rows of "b" now',
  );
});

test('a source that reads something else is refused, or begins at its start', () => {
  const before = structureOf(first);
  const other = structureOf(totals(orders('new.jsonl')).to(jsonLines('out/')));
  const { name, difference, remedy } = refused(before, other);
  assert.equal(name, 'source#0');
  assert.equal(
    difference,
    'source "source#0" read files orders.jsonl, and reads files new.jsonl now',
  );
  assert.equal(
    remedy,
    'where it goes on is known only for what it read: read that, or let the state go with ' +
      '--allow-dropped-state (`allowDroppedState: true`), and it begins at the start of ' +
      'files new.jsonl',
  );
  assert.deepEqual(matchSources(before.sources, other.sources).size, 0);
});

test('a source may be added, and removed where nothing is kept of it', () => {
  const rows = () => orders('a.jsonl', 'a').union(orders('b.jsonl', 'b'));
  const two = structureOf(totals(rows()).named('totals').to(jsonLines('out/')));
  const one = structureOf(totals(orders('a.jsonl', 'a')).named('totals').to(jsonLines('out/')));
  const more = compatible(one, two);
  assert.deepEqual(
    [more.sources, more.stages, more.replayHazard],
    ['a<a', '0=0 1=2', 'operator "totals" takes rows of "b", too, now'],
  );
  assert.deepEqual(refused(two, one), {
    kind: 'incompatible',
    name: 'b',
    difference: 'source "b" is gone, and operator "totals" keeps what it gave',
    remedy:
      'put it back, or let the state go with --allow-dropped-state (`allowDroppedState: true`): ' +
      'windows that are open go on without it',
  });
  const less = compatible(two, one, { dropsState: true });
  assert.deepEqual([less.stages, less.replayHazard], ['0=0 2=1', 'source "b" is gone']);
  const apart = orders('b.jsonl', 'b').to(jsonLines('raw/'));
  const beside = structureOf(
    totals(orders('a.jsonl', 'a')).named('totals').to(jsonLines('out/')).with(apart),
  );
  assert.deepEqual(compatible(beside, one).notes, []);
});

test('a source may get partitions, and lose none', () => {
  const before = structureOf(first);
  const { stages, replayHazard } = compatible(before, structureOf(first, { sourcePartitions: 5 }));
  const hazard = 'source "source#0" had 3 partitions and has 5 now';
  assert.deepEqual([stages, replayHazard], ['0=0 1=1', hazard]);
  assert.deepEqual(refused(before, structureOf(first, { sourcePartitions: 2 })), {
    kind: 'incompatible',
    name: 'source#0',
    difference: 'source "source#0" had 3 partitions, and has 2 now',
    remedy: 'give it 3 partitions or more',
  });
});

test('another number of keyed partitions moves keys, and is no change while output is open', () => {
  const found = compatible(structureOf(first), structureOf(first, { partitions: 6 }));
  assert.equal(found.stages, '0=0 1~1');
  assert.equal(
    found.replayHazard,
    'sink "sink#0" is written by 6 partitions of "aggregate#0" now, ' +
      'and was written by 4 partitions of "aggregate#0"',
  );
});

test('sinks may come and go, and each keeps its ledger', () => {
  const rows = orders();
  const a = rows.to(jsonLines('a/'));
  const b = totals(rows).to(jsonLines('b/'));
  const both = structureOf(a.with(b));
  assert.deepEqual(compatible(both, structureOf(b)), {
    ...all,
    stages: '0=0 1=1',
    ledgers: { 'sink#0': 'sink#1' },
  });
  const c = rows.to(jsonLines('c/'));
  assert.deepEqual(compatible(structureOf(a), structureOf(c.with(a))).ledgers, {
    'sink#0': 'sink#0@41',
    'sink#1': 'sink#0',
  });
});

test('a sink whose rows come in other partitions is a hazard while output is open', () => {
  const before = structureOf(orders().to(jsonLines('out/')));
  const after = structureOf(totals().to(jsonLines('out/')));
  assert.equal(
    compatible(before, after).replayHazard,
    'sink "sink#0" is written by 4 partitions of "aggregate#0" now, ' +
      'and was written by 3 partitions of "source#0"',
  );
});

test('another watermark is a hazard while output is open', () => {
  const of = (delay: string) =>
    structureOf(
      totals(
        pipeline('shop').from(files({ path: 'orders.jsonl', schema: Order }), {
          time: 'at',
          watermark: { delay: delay as '1s' },
        }),
      ).to(jsonLines('out/')),
    );
  assert.equal(
    compatible(of('1s'), of('2s')).replayHazard,
    'source "source#0" has another event time or watermark',
  );
});

test('all kinds of windows and second levels keep their state through a change before them', () => {
  for (const window of [session('1m'), hopping('1h', '10m')]) {
    const of = (rows: ReturnType<typeof orders>) => {
      const low = rows
        .groupBy('country')
        .window(window)
        .aggregate(() => ({ orders: count() }));
      const high = low
        .groupBy('orders')
        .window(tumbling('1d'))
        .aggregate(() => ({ countries: count() }));
      return structureOf(high.to(jsonLines('out/')));
    };
    const found = compatible(of(orders()), of(orders().filter((e) => e.items.gt(0))));
    assert.deepEqual(found, { ...all, stages: '0=0 1=1 2=2' });
  }
});

test('a broadcast join keeps its rows while its columns are the same', () => {
  const of = (columns: { readonly [name: string]: 'price' | 'items' }) => {
    const prices = orders('prices.jsonl', 'prices').broadcast();
    const joined = orders('orders.jsonl', 'orders').join(prices, {
      on: { country: 'country' },
      columns,
    });
    return structureOf(joined.to(jsonLines('out/')));
  };
  const before = of({ last: 'price' });
  assert.equal(compatible(before, of({ latest: 'price' })).stages, '0=0 1=1 2=2');
  assert.equal(
    refused(before, of({ last: 'price', most: 'items' })).difference,
    'operator "broadcast-join#0" has the broadcast column items = int32, which it had not',
  );
});
