import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineAt, readSource } from './source-text.ts';

/** `expected` shows a blanked character as `_`; spaces of the original stay spaces there. */
function check(text: string, expected: string): void {
  const { code } = readSource(text);
  assert.equal(code.length, text.length);
  const shown = [...text].map((char, index) => (code[index] === char ? char : '_')).join('');
  assert.equal(shown, expected);
}

test('readSource blanks the insides of strings and keeps their quotes', () => {
  check(`a = 'x"y' + "it's";`, `a = '___' + "____";`);
});

test('readSource knows escaped quotes', () => {
  check(String.raw`f('\'', "\\") + g`, String.raw`f('__', "__") + g`);
});

test('readSource blanks comments to their end', () => {
  check(`a; // b 'c\nd /* e\nf */ g`, `a; ____ __\nd __ _\n_ __ g`.replace('____ __', '__ _ __'));
});

test('readSource reads code inside of templates, also nested ones', () => {
  check('`a ${b + `c${d}e` + {x: 1}.x} f` + g', '`_ ${b + `_${d}_` + {x: 1}.x} _` + g');
});

test('readSource tells a regular expression from a division', () => {
  check(`x = a / b / c;`, `x = a / b / c;`);
  check(`x = /'[/"]/.test(y) / 2;`, `x = /_____/.test(y) / 2;`);
  check(`return /"/;`, `return /_/;`);
  check(`f(a)[0] / 2 // "z`, `f(a)[0] / 2 __ __`);
  check(`/"/.test(a)`, `/_/.test(a)`);
});

test('readSource does not run past the end of unfinished text', () => {
  for (const text of [`'ab`, '`ab', '`a${b', '/* ab', 'x = /ab', `'\\`]) {
    assert.equal(readSource(text).code.length, text.length, text);
  }
});

test('readSource gives each comment with its place', () => {
  const text = `#!/bin/x\na; // one\n/* two\n*/ '// not';`;
  const comments = readSource(text).comments.map(({ text: comment, offset }) => ({
    comment,
    line: lineAt(text, offset),
  }));
  assert.deepEqual(comments, [
    { comment: '#!/bin/x', line: 1 },
    { comment: '// one', line: 2 },
    { comment: '/* two\n*/', line: 3 },
  ]);
});

test('lineAt counts from 1', () => {
  assert.deepEqual(
    [0, 1, 2, 3].map((offset) => lineAt('a\nb\n', offset)),
    [1, 1, 2, 2],
  );
});
