// TypeScript and JavaScript text with its comments and the insides of its strings blanked out, so
// that the rules of tidy.ts can look for code with regular expressions and never find prose. It
// knows strings, templates, regular expressions and comments, and nothing else of the language.

export type SourceText = {
  /** As long as the original, line by line; quotes stay, their contents are blank. */
  readonly code: string;
  readonly comments: readonly Comment[];
};

export type Comment = {
  /** With its `//` or `/*`. */
  readonly text: string;
  readonly offset: number;
};

export function readSource(text: string): SourceText {
  return new SourceReader(text).read();
}

/** From 1. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let index = text.indexOf('\n'); index >= 0 && index < offset; line++) {
    index = text.indexOf('\n', index + 1);
  }
  return line;
}

/** After these, a slash begins a regular expression; after any other word it divides. */
const operatorWords = new Set(
  'return typeof case in of delete void throw new do else instanceof yield await'.split(' '),
);

class SourceReader {
  readonly #text: string;
  readonly #code: string[] = [];
  readonly #comments: Comment[] = [];
  /** For each open `${`, how many `{` are open inside it. */
  readonly #templateDepths: number[] = [];
  #at = 0;
  /** The last word or character of code, for telling a division from a regular expression. */
  #last = '';

  constructor(text: string) {
    this.#text = text;
  }

  read(): SourceText {
    if (this.#text.startsWith('#!')) this.#comment(this.#lineEnd());
    while (this.#at < this.#text.length) this.#next();
    return { code: this.#code.join(''), comments: this.#comments };
  }

  #next(): void {
    const char = this.#text[this.#at] ?? '';
    const two = this.#text.slice(this.#at, this.#at + 2);
    if (two === '//') this.#comment(this.#lineEnd());
    else if (two === '/*') this.#comment(this.#indexAfter('*/'));
    else if (char === "'" || char === '"') this.#string(char);
    else if (char === '`') this.#template();
    else if (char === '/' && this.#mayBeginRegExp()) this.#regExp();
    else if (char === '}' && this.#templateDepths.at(-1) === 0) this.#endInterpolation();
    else if (/[\w$]/.test(char)) this.#word();
    else this.#punctuation(char);
  }

  #comment(end: number): void {
    this.#comments.push({ text: this.#text.slice(this.#at, end), offset: this.#at });
    this.#blank(end);
  }

  #string(quote: string): void {
    this.#keep(1);
    let end = this.#at;
    while (end < this.#text.length && this.#text[end] !== quote && this.#text[end] !== '\n') {
      end += this.#text[end] === '\\' ? 2 : 1;
    }
    this.#blank(Math.min(end, this.#text.length));
    this.#keep(1);
    this.#last = quote;
  }

  #template(): void {
    this.#keep(1);
    this.#templateRest();
  }

  #endInterpolation(): void {
    this.#templateDepths.pop();
    this.#keep(1);
    this.#templateRest();
  }

  /** To the closing backtick, or into the next `${`. */
  #templateRest(): void {
    let end = this.#at;
    while (end < this.#text.length && this.#text[end] !== '`') {
      if (this.#text.startsWith('${', end)) {
        this.#blank(end);
        this.#keep(2);
        this.#templateDepths.push(0);
        this.#last = '{';
        return;
      }
      end += this.#text[end] === '\\' ? 2 : 1;
    }
    this.#blank(Math.min(end, this.#text.length));
    this.#keep(1);
    this.#last = '`';
  }

  #mayBeginRegExp(): boolean {
    if (/^[\w$]/.test(this.#last)) return operatorWords.has(this.#last);
    return !(')]"\'`'.includes(this.#last) && this.#last !== '');
  }

  #regExp(): void {
    this.#keep(1);
    let inClass = false;
    let end = this.#at;
    while (end < this.#text.length && this.#text[end] !== '\n') {
      const char = this.#text[end];
      if (char === '[') inClass = true;
      else if (char === ']') inClass = false;
      else if (char === '/' && !inClass) break;
      end += char === '\\' ? 2 : 1;
    }
    this.#blank(Math.min(end, this.#text.length));
    this.#keep(1);
    this.#last = ')';
  }

  #word(): void {
    let end = this.#at;
    while (end < this.#text.length && /[\w$]/.test(this.#text[end] ?? '')) end++;
    this.#last = this.#text.slice(this.#at, end);
    this.#keep(end - this.#at);
  }

  #punctuation(char: string): void {
    const depth = this.#templateDepths.length - 1;
    if (depth >= 0 && char === '{') this.#templateDepths[depth]! += 1;
    if (depth >= 0 && char === '}') this.#templateDepths[depth]! -= 1;
    if (/\S/.test(char)) this.#last = char;
    this.#keep(1);
  }

  #keep(count: number): void {
    this.#code.push(this.#text.slice(this.#at, this.#at + count));
    this.#at += count;
  }

  #blank(end: number): void {
    this.#code.push(this.#text.slice(this.#at, end).replace(/[^\n]/g, ' '));
    this.#at = end;
  }

  #lineEnd(): number {
    const end = this.#text.indexOf('\n', this.#at);
    return end < 0 ? this.#text.length : end;
  }

  #indexAfter(marker: string): number {
    const index = this.#text.indexOf(marker, this.#at + 2);
    return index < 0 ? this.#text.length : index + marker.length;
  }
}
