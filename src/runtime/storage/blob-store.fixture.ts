// What every blob store must do, as a list of named laws: tests run it on each of them. `another`
// opens the same place once more, as another process would.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';
import { Random } from '../../base/random.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { BlobEntry, BlobStore } from '../../ports/blob-store.ts';

export type StorePair = { readonly store: BlobStore; readonly another: BlobStore };

export const storeLaws: Readonly<Record<string, (pair: StorePair) => Promise<void>>> = {
  'gives back the bytes that were put, and null for what was not': async ({ store, another }) => {
    const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => (index * 7) % 256);
    await store.put('a/b/c.bin', bytes);
    assert.deepEqual(new Uint8Array((await another.get('a/b/c.bin'))!.bytes), bytes);
    assert.equal(await store.get('a/b'), null);
    assert.equal(await store.get('a/b/c.bin/d'), null);
    assert.equal(await store.get('a/b/d.bin'), null);
    await store.put('empty', new Uint8Array(0));
    assert.equal((await another.get('empty'))!.bytes.length, 0);
    await another.put('a/b/c.bin', text('new'));
    assert.equal(textOf((await store.get('a/b/c.bin'))!.bytes), 'new');
  },

  'keeps every character that a key may have': async ({ store, another }) => {
    const key = 'Az09_=+@,~-/x.=+@,~-_=2F/y..z';
    await store.put(key, text('x'));
    assert.equal(textOf((await another.get(key))!.bytes), 'x');
    assert.deepEqual(await keysOf(another, 'Az09_=+@,~-/x.=+@,~'), [key]);
    await another.delete([key]);
    assert.equal(await store.get(key), null);
  },

  'refuses keys that lead elsewhere': async ({ store }) => {
    for (const key of [
      '',
      '../a',
      'a/../b',
      '/a',
      'a//b',
      'a/',
      '.a',
      'a\0b',
      'a\\b',
      'ä',
      'a%2e',
    ]) {
      for (const attempt of [
        () => store.get(key),
        () => store.put(key, text('x')),
        () => store.create(key, text('x')),
        () => store.replace(key, text('x'), '0'),
        () => store.delete([key]),
      ]) {
        await assert.rejects(async () => attempt(), isInvalidKey, JSON.stringify(key));
      }
    }
    await assert.rejects(async () => keysOf(store, '../'), isInvalidKey);
  },

  'creates once': async ({ store, another }) => {
    assert.equal(await store.create('once', text('first')), true);
    assert.equal(await another.create('once', text('second')), false);
    assert.equal(await store.create('once', text('first')), false);
    assert.equal(textOf((await another.get('once'))!.bytes), 'first');
    await store.delete(['once']);
    assert.equal(await another.create('once', text('third')), true);
    assert.equal(textOf((await store.get('once'))!.bytes), 'third');
  },

  'lets exactly one of many creators win': async ({ store, another }) => {
    for (let round = 0; round < 6; round++) {
      const key = `race/${round}`;
      const won = await Promise.all(
        Array.from({ length: 8 }, (_, index) =>
          (index % 2 === 0 ? store : another).create(key, text(String(index))),
        ),
      );
      assert.equal(won.filter(Boolean).length, 1, `round ${round}`);
      assert.equal(textOf((await another.get(key))!.bytes), String(won.indexOf(true)));
    }
  },

  'replaces only what is unchanged': async ({ store, another }) => {
    assert.equal(await store.replace('none', text('x'), 'tag'), null);
    assert.equal(await another.get('none'), null);
    await store.create('r', text('0'));
    const first = (await another.get('r'))!.tag;
    const second = await store.replace('r', text('1'), first);
    assert.notEqual(second, null);
    assert.equal((await another.get('r'))!.tag, second);
    assert.equal(await another.replace('r', text('2'), first), null);
    assert.equal(textOf((await store.get('r'))!.bytes), '1');
    await another.put('r', text('3'));
    assert.equal(textOf((await store.get('r'))!.bytes), '3');
    assert.equal(await store.replace('r', text('4'), second!), null);
    const third = (await store.get('r'))!.tag;
    assert.notEqual(await another.replace('r', text('4'), third), null);
    assert.equal(await store.create('r', text('5')), false);
    assert.equal(textOf((await store.get('r'))!.bytes), '4');
    assert.deepEqual(await entriesOf(store, 'r'), [['r', 1]]);
    await store.delete(['r']);
    assert.equal(await another.get('r'), null);
    assert.equal(await another.create('r', text('6')), true);
    assert.equal(textOf((await store.get('r'))!.bytes), '6');
  },

  'loses no update when many replace at once': async ({ store, another }) => {
    await store.create('counter', text('0'));
    const increment = async (own: BlobStore): Promise<void> => {
      for (;;) {
        const { bytes, tag } = (await own.get('counter'))!;
        const next = text(String(Number(textOf(bytes)) + 1));
        if ((await own.replace('counter', next, tag)) !== null) return;
      }
    };
    const workers = Array.from({ length: 5 }, async (_, index) => {
      for (let round = 0; round < 5; round++) await increment(index % 2 === 0 ? store : another);
    });
    await Promise.all(workers);
    assert.equal(textOf((await store.get('counter'))!.bytes), '25');
  },

  'lists by prefix, in order': async ({ store, another }) => {
    // No key with a key below it: a folder cannot hold a file and a folder of one name.
    const keys = ['l/a', 'l/a-b/c', 'l/a.b', 'l/b/1', 'l/b/10', 'l/b/2', 'lx'];
    for (const key of keys) await store.put(key, text(key));
    assert.deepEqual(await keysOf(another, ''), keys.toSorted());
    assert.deepEqual(await keysOf(another, 'l/b/1'), ['l/b/1', 'l/b/10']);
    assert.deepEqual(await keysOf(another, 'l/a'), ['l/a', 'l/a-b/c', 'l/a.b']);
    assert.deepEqual(await keysOf(another, 'l/c'), []);
    assert.deepEqual(await entriesOf(another, 'l/b/'), [
      ['l/b/1', 5],
      ['l/b/10', 6],
      ['l/b/2', 5],
    ]);
    for await (const { modifiedMs } of another.list('l'))
      assert.equal(Number.isNaN(modifiedMs), false);
  },

  'deletes, and forgives what is not there': async ({ store, another }) => {
    await store.put('d/1', text('1'));
    await store.put('d/2/3', text('2'));
    await another.delete(['d/1', 'd/2/3', 'd/4', 'd/2/3/5', 'e']);
    assert.deepEqual(await keysOf(store, ''), []);
    await another.delete([]);
    await store.put('d/2/3', text('again'));
    assert.deepEqual(await keysOf(another, ''), ['d/2/3']);
  },

  'agrees with a map under random operations': async ({ store, another }) => {
    const random = new Random(11);
    const model = new Map<string, { text: string; tag: string }>();
    for (let step = 0; step < 100; step++) {
      const own = random.chance(0.5) ? store : another;
      const key = random.pick(['m/a', 'm/b', 'n']);
      const content = String(step);
      switch (random.integer(0, 4)) {
        case 0:
          await own.put(key, text(content));
          model.set(key, { text: content, tag: (await own.get(key))!.tag });
          break;
        case 1: {
          const created = await own.create(key, text(content));
          assert.equal(created, !model.has(key), `create at step ${step}`);
          if (created) model.set(key, { text: content, tag: (await own.get(key))!.tag });
          break;
        }
        case 2: {
          const stale = random.chance(0.3);
          const tag = stale ? `${step}-1-2-3` : (model.get(key)?.tag ?? 'none');
          const replaced = await own.replace(key, text(content), tag);
          assert.equal(replaced !== null, !stale && model.has(key), `replace at step ${step}`);
          if (replaced !== null) model.set(key, { text: content, tag: replaced });
          break;
        }
        case 3:
          if (random.chance(0.3)) {
            await own.delete([key]);
            model.delete(key);
          }
          break;
        default: {
          const found = await own.get(key);
          assert.equal(found === null ? null : textOf(found.bytes), model.get(key)?.text ?? null);
          assert.equal(found?.tag, model.get(key)?.tag);
        }
      }
    }
    assert.deepEqual(await keysOf(store, ''), [...model.keys()].sort());
  },
};

/** Runs all laws, each in an empty place of its own. */
export async function checkStore(
  context: TestContext,
  open: (place: string) => Promise<StorePair> | StorePair,
): Promise<void> {
  for (const [law, check] of Object.entries(storeLaws)) {
    await context.test(law, async () => check(await open(randomUUID())));
  }
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

export async function keysOf(store: BlobStore, prefix: string): Promise<readonly string[]> {
  return (await entriesOf(store, prefix)).map(([key]) => key);
}

async function entriesOf(
  store: BlobStore,
  prefix: string,
): Promise<readonly (readonly [string, number])[]> {
  const entries: BlobEntry[] = [];
  for await (const entry of store.list(prefix)) entries.push(entry);
  return entries.map(({ key, bytes }) => [key, bytes] as const);
}

function isInvalidKey(error: unknown): boolean {
  return error instanceof StreamError && error.code === 'store-key-invalid';
}
