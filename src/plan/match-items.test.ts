// Names are promises; ids that count are found again by what they stand for.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchItems } from './match-items.ts';

function matched(before: string, now: string): string {
  const items = (text: string) =>
    text.split(' ').map((item) => {
      const [id, content] = item.split('=');
      return { id: id!, content: content! };
    });
  return [...matchItems(items(before), items(now))].map((pair) => pair.join('<')).join(' ');
}

test('matchItems takes what has kept its id and its content', () => {
  assert.equal(matched('a#0=x a#1=y', 'a#0=x a#1=y'), 'a#0<a#0 a#1<a#1');
  assert.equal(matched('a#0=x a#1=x', 'a#0=x a#1=x'), 'a#0<a#0 a#1<a#1');
});

test('matchItems finds what others have pushed to another number', () => {
  assert.equal(matched('a#0=x', 'a#0=new a#1=x'), 'a#1<a#0');
  assert.equal(matched('a#0=x a#1=y', 'a#0=y'), 'a#0<a#1');
  assert.equal(matched('a#0=x a#1=y', 'a#0=y a#1=x'), 'a#0<a#1 a#1<a#0');
});

test('matchItems takes a name for what had none, and never one name for another', () => {
  assert.equal(matched('a#0=x', 'views=x'), 'views<a#0');
  assert.equal(matched('views=x', 'clicks=x'), '');
  assert.equal(matched('views=x', 'a#0=x'), '');
  assert.equal(matched('views=x a#0=y', 'views=y'), '');
});

test('matchItems leaves out what could be several', () => {
  assert.equal(matched('a#0=x a#1=x', 'b=x'), '');
  assert.equal(matched('a#0=x', 'b=x c=x'), '');
  assert.equal(matched('a#0=x a#1=x', 'a#0=x'), 'a#0<a#0');
});

test('matchItems leaves out pairs that cannot be', () => {
  const one = [{ id: 'a#0', content: 'x' }];
  assert.equal(matchItems(one, one, () => false).size, 0);
});
